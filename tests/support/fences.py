"""The fenced shell commands of a page, run as they stand, in the order of the page.

A comment before a fence decides: `<!-- not run: why -->`, `<!-- runs until: TEXT -->` (a server: it is started, waited
for until it prints TEXT, and ended with the page), `<!-- needs: COMMAND -->` (such a server beside it), `<!-- run in:
FOLDER -->` (a copy of that folder of the checkout). Port 8080 is another one here, since it may be taken.
"""

from __future__ import annotations

import os
import queue
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.ports import free_port

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


def fences(page: Path) -> list[Fence]:
    """The blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [Fence(found["text"], found["word"], (found["what"] or "").strip()) for found in _FENCE.finditer(text)]


def environment(programs: Path, port: int) -> dict[str, str]:
    names = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "DVC_NO_ANALYTICS": "1",
    }
    return {**os.environ, **names, "ANIMALS_PORT": str(port)}


@contextmanager
def running(command: str, until: str, folder: Path, around: dict[str, str]) -> Iterator[None]:
    """A server, for as long as the page needs it."""
    process = subprocess.Popen(
        ["sh", "-c", f"exec {command}"],
        cwd=folder,
        env=around,
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


def run_page(page: Path, folder: Path, programs: Path) -> int:
    """Run a page's blocks in a folder, with the `animals` of an environment; returns how many ran.

    Raises:
        AssertionError: One of them failed.
    """
    ran, port = 0, free_port()
    around = environment(programs, port)
    with ExitStack() as servers:
        for fence in fences(page):
            if fence.word == "not run":
                continue
            ran += 1
            text = fence.text.replace("8080", str(port))
            if fence.word == "runs until":
                servers.enter_context(running(text.strip(), fence.what, folder, around))
                continue
            if fence.word == "needs":
                servers.enter_context(running(fence.what, "ready at", folder, around))
            place = folder / fence.what if fence.word == "run in" else folder
            done = subprocess.run(
                ["sh", "-ec", text], cwd=place, env=around, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    return ran
