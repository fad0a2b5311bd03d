"""Every fenced shell command of README and tutorials is run as it stands, in the order of the page; or says why not.

A comment before a fence decides: `<!-- not run: why -->`, `<!-- runs until: TEXT -->` (a server: it is started, waited
for until it prints TEXT, and ended with the page), `<!-- needs: COMMAND -->` (such a server beside it), `<!-- run in:
FOLDER -->` (a copy of that folder of the checkout). Port 8080 is another one here, since it may be taken.
"""

from __future__ import annotations

import os
import queue
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.unit.data.drawing import draw_classes

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
PAGES = ["README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))]
RUN = ["README.md", "docs/tutorials/spreadsheet.md", "docs/tutorials/production.md"]
SLOW = ["docs/pipeline.md", "docs/tutorials/own-model.md"]
_FENCE = re.compile(
    r"(?:<!-- (?P<word>not run|runs until|run in|needs): (?P<what>[^>]+) -->\n)?^```sh\n(?P<text>.*?)^```", re.M | re.S
)
STARTS_WITHIN = 180


@dataclass(frozen=True)
class Fence:
    """A block of commands."""

    text: str
    word: str | None
    what: str


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def fences(page: str) -> list[Fence]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return [Fence(found["text"], found["word"], (found["what"] or "").strip()) for found in _FENCE.finditer(text)]


@pytest.fixture
def folder(tmp_path: Path, photos_dir: Path) -> Path:
    """What the pages speak of: photos/, zoo/, lion.jpg, and the checkout's examples."""
    lions = sorted((photos_dir / "animals22/lion").iterdir())[:3]
    for target in ("photos", "photos/africa"):
        (tmp_path / target).mkdir()
        for photo in lions:
            shutil.copyfile(photo, tmp_path / target / photo.name)
    lion = photos_dir / "imagenet_animals/n02129165_lion.JPEG"
    shutil.copyfile(lion, tmp_path / "photos/lion.jpg")
    shutil.copyfile(lion, tmp_path / "lion.jpg")
    for name in ("bear", "lion", "shark"):
        (tmp_path / "zoo" / name).mkdir(parents=True)
        for photo in sorted((photos_dir / "animals22" / name).iterdir())[:14]:
            shutil.copyfile(photo, tmp_path / "zoo" / name / photo.name)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    draw_classes(tmp_path / "examples/pipeline/photos", {"fox": 12, "frog": 12, "whale": 12})
    draw_classes(tmp_path / "examples/pipeline/things", {"chair": 4})
    return tmp_path


def environment(port: int) -> dict[str, str]:
    names = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "GIT_CONFIG_GLOBAL": os.devnull, "DVC_NO_ANALYTICS": "1"}
    return {**os.environ, **names, "ANIMALS_PORT": str(port)}


@contextmanager
def running(command: str, until: str, folder: Path, port: int) -> Iterator[None]:
    """A server, for as long as the page needs it."""
    process = subprocess.Popen(
        ["sh", "-c", f"exec {command}"],
        cwd=folder,
        env=environment(port),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.put(line)
        lines.put(None)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    said = ""
    try:
        while until not in said:
            line = lines.get(timeout=STARTS_WITHIN)
            assert line is not None, said
            said += line
        yield
    finally:
        process.terminate()
        assert process.wait(30) == 0
        reader.join(10)
        assert process.stdout is not None
        process.stdout.close()


def run_page(page: str, folder: Path) -> int:
    """The number of blocks that ran."""
    ran, port = 0, free_port()
    with ExitStack() as servers:
        for fence in fences(page):
            if fence.word == "not run":
                continue
            ran += 1
            text = fence.text.replace("8080", str(port))
            if fence.word == "runs until":
                servers.enter_context(running(text.strip(), fence.what, folder, port))
                continue
            if fence.word == "needs":
                servers.enter_context(running(fence.what, "ready at", folder, port))
            place = folder / fence.what if fence.word == "run in" else folder
            done = subprocess.run(
                ["sh", "-ec", text], cwd=place, env=environment(port), capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    return ran


@pytest.mark.parametrize("page", PAGES)
def test_what_is_not_run_says_why(page: str) -> None:
    for fence in fences(page):
        if fence.word == "not run":
            assert len(fence.what) > 8, fence.text
        else:
            assert page in {*RUN, *SLOW}, f"nobody runs this block; mark it: {fence.text}"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", RUN)
def test_commands_do_what_the_page_says(page: str, folder: Path) -> None:
    assert run_page(page, folder) > 0


@pytest.mark.nightly
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", SLOW)
def test_slow_commands_do_what_the_page_says(page: str, folder: Path) -> None:
    assert run_page(page, folder) > 0
