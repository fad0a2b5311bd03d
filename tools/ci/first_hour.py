"""The first hour of three people, replayed from an empty folder with only what README and tutorials say.

    python tools/ci/first_hour.py                       # the README's block for this system
    python tools/ci/first_hour.py --photos shared/data  # and the tutorials of all three, with real photos

Everything happens in a temporary folder. The exit code is 0 if each thread ends with what its page promises.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.support.fences import run_page  # noqa: E402 - from the checkout, wherever this is called

WINDOWS = os.name == "nt"
BIN, EXE = ("Scripts", ".exe") if WINDOWS else ("bin", "")
EXAMPLES = "src/animal_classification/serving/ui/static/examples"
TUTORIALS = {"naturalist": "spreadsheet.md", "engineer": "own-model.md", "operator": "production.md"}
STARTS_WITHIN = 120


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, help="A folder with animals22 and imagenet_animals, for the tutorials.")
    photos = parser.parse_args().photos
    with tempfile.TemporaryDirectory(prefix="first-hour-", ignore_cleanup_errors=True) as folder:
        checkout = Path(folder) / "animals"
        copy_checkout(checkout)
        install(checkout)
        programs = checkout / ".venv" / BIN
        ask_the_page(checkout, programs)
        if photos:
            install_more(checkout, programs)
        for who, page in TUTORIALS.items() if photos else ():
            place = Path(folder) / who
            lay_out(place, photos.resolve())
            started = time.monotonic()
            ran = run_page(ROOT / "docs/tutorials" / page, place, programs)
            say(f"{who}: {ran} blocks of {page} ran, {time.monotonic() - started:.0f} s")
            shutil.rmtree(place, ignore_errors=True)
    return 0


def say(line: str) -> None:
    print(f"first hour: {line}", flush=True)


def copy_checkout(target: Path) -> None:
    """What somebody has who downloads the project: the files that git knows, without any environment."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target / name)


def block() -> list[str]:
    """The lines of the README's block for this system."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(rf"^```{'bat' if WINDOWS else 'sh'}\n(.*?-m venv \.venv.*?)^```", text, re.M | re.S)
    assert found is not None, "the README has no block for this system"
    return found[1].splitlines()


def install(checkout: Path) -> None:
    """All lines but the last, which starts the page."""
    started = time.monotonic()
    *lines, last = block()
    assert last.startswith("animals up"), last
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    if WINDOWS:
        script = checkout / "first_hour.bat"
        script.write_text("\n".join(f"call {line} || exit /b 1" for line in lines) + "\n", encoding="utf-8")
        command = ["cmd", "/c", str(script)]
    else:
        command = ["sh", "-ec", "\n".join(lines)]
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "photos in" in done.stdout + done.stderr, done.stdout + done.stderr
    say(f"installed, and photos named, {time.monotonic() - started:.0f} s")


def install_more(checkout: Path, programs: Path) -> None:
    """The extras that the tutorials ask for."""
    for page in TUTORIALS.values():
        text = (ROOT / "docs/tutorials" / page).read_text(encoding="utf-8")
        for extras in re.findall(r"^pip install \"(\.\[[a-z,]+\])\"", text, re.M):
            words = [str(programs / f"python{EXE}"), "-m", "pip", "install", "--quiet", extras]
            subprocess.run(words, cwd=checkout, check=True)
            say(f"{page}: installed {extras}")


def ask_the_page(checkout: Path, programs: Path) -> None:
    """The last line: the page is there when it says so, and names one of its own examples."""
    command = [str(programs / f"animals{EXE}"), "up", "--port", "0", "--no-prediction-log"]
    process = subprocess.Popen(command, cwd=checkout, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=lambda: [lines.put(line) for line in process.stdout or ()], daemon=True).start()
    try:
        address = ready_address(lines)
        with urllib.request.urlopen(address, timeout=10) as page:
            assert b"<title>" in page.read()
        photo = sorted((checkout / EXAMPLES).glob("*.jpg"))[0]
        request = urllib.request.Request(f"{address}/v1/predict", photo.read_bytes(), {"Content-Type": "image/jpeg"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            entry = json.load(answer)["predictions"][0]
        say(f"the page at {address} is there; {photo.name}: {entry['answer']}")
    finally:
        process.terminate()
        process.wait(30)


def ready_address(lines: queue.Queue[str]) -> str:
    """Where the server says that it is."""
    deadline = time.monotonic() + STARTS_WITHIN
    while True:
        line = lines.get(timeout=max(0.1, deadline - time.monotonic()))
        if found := re.search(r"ready at (\S+)", line):
            return found[1]


def lay_out(folder: Path, photos: Path) -> None:
    """What the tutorials speak of: a folder of photos, and one with a folder for each animal."""
    lions = sorted((photos / "animals22/lion").iterdir())[:3]
    (folder / "photos/africa").mkdir(parents=True)
    for number, photo in enumerate(lions):
        shutil.copyfile(photo, folder / ("photos/africa" if number else "photos") / photo.name)
    shutil.copyfile(photos / "imagenet_animals/n02129165_lion.JPEG", folder / "photos/lion.jpg")
    for name in ("bear", "lion", "shark"):
        (folder / "zoo" / name).mkdir(parents=True)
        for photo in sorted((photos / "animals22" / name).iterdir())[:14]:
            shutil.copyfile(photo, folder / "zoo" / name / photo.name)
    shutil.copytree(ROOT / "deploy", folder / "deploy")
    shutil.copytree(ROOT / "examples", folder / "examples")


if __name__ == "__main__":
    sys.exit(main())
