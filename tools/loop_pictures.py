"""The loop as a person meets it, once from end to end: night photos come, and a better model gets into production.

python -m tools.loop_pictures PHOTOS --output docs/images

Trains a model of PHOTOS (a folder for each class), serves it, sends photos by night, reviews sixty by keyboard in
Chromium, runs ``animals loop`` and prints all that it says; takes a picture of each page on the way. Photos that are
not ours are blurred in the pictures; ours is the cat of the start page.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from animal_classification.serving.ui.pages import example_path
from tests.support.night_zoo import NightPhoto, NightZoo, build, bundle_of, by_night, right

WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
REVIEWED = 60
OURS = "gate-cat"
_MODELS = ("--model", "zoo=models:/zoo@production", "--shadow", "zoo=models:/zoo@shadow")
_CANARY = ("--canary", "zoo=models:/zoo@canary@tag")
_LOG = ("--prediction-log", "--keep-photos", "thumbnail", "--drift-window", "100", "--drift-sources", "gate")


class Walk:
    """A zoo, its server, and a browser."""

    def __init__(self, zoo: NightZoo, address: str, browser: Browser, output: Path) -> None:
        self.zoo = zoo
        self.address = address
        self.output = output
        self.page = browser.new_page(viewport=WIDE)  # type: ignore[arg-type]
        self.phone = browser.new_page(viewport=NARROW)  # type: ignore[arg-type]
        self.truth: dict[str, str] = {}

    def send(self, name: str, photos: Sequence[NightPhoto], *, pause: float = 0.0) -> None:
        """Photos of the camera at the gate, one by one."""
        for number, photo in enumerate(photos):
            file = f"{name}-{number:03d}.jpg"
            self.truth[file] = photo.label
            self._post(file, photo.data)
            time.sleep(pause)

    def _post(self, file: str, data: bytes) -> None:
        head = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{file}"\r\n\r\n'.encode()
        headers = {"Content-Type": "multipart/form-data; boundary=x", "X-Animals-Source": "gate"}
        body = head + data + b"\r\n--x--\r\n"
        request = urllib.request.Request(f"{self.address}/v1/predict", body, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()

    def ask(self, path: str, method: str = "GET") -> Any:
        """What the API says."""
        request = urllib.request.Request(f"{self.address}/v1/{path}", method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)

    def judge(self) -> None:
        """Judge the newest window now, and not in a quarter of an hour."""
        for verdict in self.ask("drift/judge", "POST")["verdicts"]:
            print(
                f"# {verdict['source'] or 'all'}: {verdict['verdict']['says']}; {verdict['verdict']['kind']}", end=" "
            )
            print(f"confirmed={verdict['verdict']['confirmed']} score={verdict['verdict']['score']} {verdict['tests']}")

    def loop(self, *words: str) -> None:
        """Say ``animals loop``, and print what it says."""
        print("$ animals loop", *words)
        command = [sys.executable, "-m", "animal_classification.cli", "loop", *words, "--config", str(self.zoo.config)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        print(done.stdout + done.stderr + f"# exit code {done.returncode}", flush=True)

    def picture(self, name: str, page: Page | None = None, *, full: bool = False) -> None:
        """A picture of a page, in few colours; other people's photos blurred."""
        page = page or self.page
        page.wait_for_timeout(400)
        ours = page.locator("#facts").count() and OURS in page.locator("#facts").inner_text()
        if not ours:
            page.evaluate("document.querySelectorAll('img').forEach(one => one.style.filter = 'blur(9px)')")
        data = page.screenshot(full_page=full)
        page.evaluate("document.querySelectorAll('img').forEach(one => one.style.filter = '')")
        with Image.open(io.BytesIO(data)) as shot:
            shot.convert("RGB").save(self.output / f"loop-{name}.webp", quality=82, method=6)
        size = (self.output / f"loop-{name}.webp").stat().st_size
        wide = page.evaluate("document.documentElement.scrollWidth")
        print(f"# loop-{name}.webp: {size / 1000:.0f} kB, scrolls to {wide} px", flush=True)

    def open_review(self, page: Page, group: str) -> None:
        """The review, one class of it."""
        page.goto(f"{self.address}/review")
        page.get_by_role("group", name="Which photos to review").get_by_role("button", name=group).click()
        page.locator("#classes [aria-pressed=true]", has_text=group).wait_for()
        page.locator("#photo:not([hidden])").wait_for()

    def show_ours(self, page: Page) -> None:
        """Skip to a photo that may be shown, where there is one."""
        for _ in range(100):
            if OURS in page.locator("#facts").inner_text():
                break
            page.keyboard.press("ArrowRight")
            page.wait_for_timeout(60)
        page.locator("#photo:not([hidden])").wait_for()

    def review(self, count: int) -> int:
        """Answer by keyboard what each photo shows; returns how many keys were pressed."""
        keys = 0
        for _ in range(count):
            file = self.page.locator("#facts").inner_text().split(" · ")[0]
            truth = self.truth[file]
            names = self.page.locator(".answer-name").all_inner_texts()
            before = self.page.locator("#count-open").inner_text()
            if truth in names:
                self.page.keyboard.press(str(names.index(truth) + 1))
                keys += 1
            else:
                self.page.keyboard.press("/")
                self.page.keyboard.type(truth)
                self.page.keyboard.press("Enter")
                keys += 2 + len(truth)
            self.page.locator(f"#count-open:not(:text-is('{before}'))").wait_for()
            if not self.page.locator("#item").is_visible():
                break
        return keys


@contextmanager
def served(zoo: NightZoo) -> Iterator[str]:
    """The zoo's models, which follow the registry."""
    words = [
        *_MODELS,
        *_CANARY,
        *_LOG,
        "--log-folder",
        str(zoo.log.folder),
        "--follow",
        "1",
        "--port",
        "0",
        "--no-page",
    ]
    environment = os.environ | {"ANIMALS_TRACKING_URI": zoo.uri}
    command = [sys.executable, "-m", "animal_classification.cli", "serve", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            found = next(filter(None, (re.match(r"animals: ready at (\S+) ", line) for line in process.stdout)), None)
            assert found, "the server does not start"
            yield found[1]
        finally:
            process.terminate()


def until(holds: Callable[[], object], seconds: float = 180) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def our_cat(number: int) -> NightPhoto:
    """The start page's cat, by night, in another part of its photo each time."""
    with Image.open(example_path("cat")) as photo:
        wide, high = photo.size
        left = 8 * number
        return NightPhoto(
            by_night(photo.convert("RGB").crop((left, 4 * number, wide - 20 + left // 4, high)), number), "cat"
        )


def again(photos: Sequence[NightPhoto], seed: int) -> list[NightPhoto]:
    """The same scenes in another night: other bytes."""
    found = []
    for number, photo in enumerate(photos):
        with Image.open(io.BytesIO(photo.data)) as picture:
            brighter = picture.convert("RGB").point(lambda value: min(255, round(value / 0.28)))
        found.append(NightPhoto(by_night(brighter, 1000 * seed + number), photo.label))
    return found


def walk(walker: Walk) -> None:
    """Everything, in order."""
    zoo, night = walker.zoo, list(walker.zoo.night)
    before = bundle_of(zoo, "production")
    night_comes(walker, night)
    walker.loop("run")
    people_are_asked(walker)
    walker.loop("run")
    two_models_differ(walker, night)
    walker.loop("run")
    until(lambda: walker.ask("models/zoo").get("canary"))
    walker.send("gate-third", again(night, 7))
    walker.loop("run")
    walker.loop("run", "--yes")
    walker.loop("history", "--verify")
    walker.page.goto((zoo.root / "loop" / "ZOO-0001" / "report.html").as_uri())
    walker.picture("report")
    others = [photo for photo in night if not reviewed(zoo, photo)]
    was, now = (right(model, others) for model in (before, bundle_of(zoo, "production")))
    print(f"# {len(others)} night photos without a word: {was:.1%} right, then {now:.1%}")


def night_comes(walker: Walk, night: list[NightPhoto]) -> None:
    """A day, and two windows of photos by night; what the monitor says of them."""
    files = sorted((walker.zoo.root / "photos").glob("*/[0-9].jpg"))
    walker.send("gate-day", [NightPhoto(file.read_bytes(), file.parent.name) for file in files])
    walker.judge()
    walker.send("gate", night[:100])
    walker.judge()
    walker.send(OURS, [our_cat(number) for number in range(3)])
    walker.send("gate-late", night[100:])
    walker.judge()
    for shown, name in ((walker.page, "monitor"), (walker.phone, "monitor-phone")):
        shown.goto(f"{walker.address}/monitor")
        shown.locator("section.drift").first.wait_for()
        shown.get_by_role("img", name="Now, photo 6").first.wait_for()
        walker.picture(name, shown)


def people_are_asked(walker: Walk) -> None:
    """Sixty answers by keyboard, of those that the loop asks for."""
    walker.open_review(walker.page, "Asked for")
    walker.show_ours(walker.page)
    walker.picture("asked")
    walker.open_review(walker.page, "Asked for")
    print(f"# {REVIEWED} photos reviewed with {walker.review(REVIEWED)} keys")


def two_models_differ(walker: Walk, night: list[NightPhoto]) -> None:
    """More nights, with the candidate in the shadow; people decide where the two differ."""
    until(lambda: (walker.ask("models/zoo").get("shadow") or {}).get("version"))
    for turn in range(3):
        walker.send(f"gate-night{turn}", again(night, 1 + turn), pause=0.1)
    walker.send(f"{OURS}-late", [our_cat(20 + number) for number in range(4)], pause=0.5)
    until(lambda: walker.ask("models/zoo")["shadow"]["compared"] > 60)
    walker.open_review(walker.page, "Models differ")
    walker.picture("differ")
    walker.open_review(walker.phone, "Models differ")
    walker.picture("differ-phone", walker.phone, full=True)
    total = walker.ask("review?queue=disagree")["total"]
    print(f"# {walker.ask('models/zoo')['shadow']}: {total} disagreements")
    walker.review(min(40, total))


def reviewed(zoo: NightZoo, photo: NightPhoto) -> bool:
    """Somebody said something of it."""
    lines = (zoo.root / "photos" / "feedback" / "ZOO-0001" / "labels.jsonl").read_text(encoding="utf-8")
    return photo.sha256 in lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--place", type=Path, help="a folder that stays, for the zoo")
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="animals-loop-") as temporary:
        zoo = build(options.place or Path(temporary), options.photos)
        zoo.configure(
            start={"labels": 40, "enough": 200, "every_days": 0, "drift_days": 1},
            canary={"shares": [0.5], "answers": 60, "minutes": 0},
            watch={"days": 7},
        )
        with served(zoo) as address, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            walk(Walk(zoo, address, browser, options.output))
            browser.close()


if __name__ == "__main__":
    main()
