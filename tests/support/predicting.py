"""Photos to name, and ``animals predict`` as a process that can be watched, interrupted and killed."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
from PIL import Image

from tests.support.tiny_bundle import COLOURS, GREY, solid

ANSWERS = {"cat": COLOURS[0], "dog": COLOURS[1], "lion": COLOURS[2], "not an animal": GREY}
DEADLINE = 60.0


def photo(colour: tuple[int, int, int]) -> bytes:
    """A small JPEG of one colour."""
    stream = io.BytesIO()
    Image.fromarray(solid(colour)).save(stream, "JPEG")
    return stream.getvalue()


PHOTOS = {name: photo(colour) for name, colour in ANSWERS.items()}


def plant(folder: Path, number: int, *, per_folder: int = 100) -> None:
    """So many photos in sub-folders: cats, dogs, lions and chairs in turn, and some that cannot be read."""
    contents = list(PHOTOS.values())
    for index in range(number):
        path = folder / f"{index // per_folder:03d}" / f"{index:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents[index % 4] if index % 23 else b"no photo")


def command(*words: object) -> list[str]:
    """A command line that runs ``animals`` with this Python, which tells where it is when it is aborted."""
    return [sys.executable, "-X", "faulthandler", "-m", "animal_classification.cli", *map(str, words)]


def start(*words: object, **options: Any) -> subprocess.Popen[bytes]:
    """Start ``animals`` with both outputs piped, and with byte code written: without it every start is slow."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    defaults = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment}
    return subprocess.Popen(command(*words), **{**defaults, **options})


def run(*words: object, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run ``animals`` to its end; one that hangs is aborted and fails with the stacks of its threads."""
    with start(*words, **options) as process:
        try:
            out, errors = process.communicate(timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            process.send_signal(getattr(signal, "SIGABRT", signal.SIGTERM))
            _, errors = process.communicate()
            raise AssertionError(f"it hung:\n{errors.decode(errors='replace')}") from None
    return subprocess.CompletedProcess(process.args, process.returncode, out, errors)


def wait_until(true: Callable[[], bool]) -> None:
    """Poll until it is true; fails after a minute."""
    deadline = time.monotonic() + DEADLINE
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.002)


def wait_for_rows(journal: Path, rows: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a journal has so many rows, or the process has ended."""

    def enough() -> bool:
        if process.poll() is not None:
            return True
        try:
            return journal.read_bytes().count(b"\n") > rows
        except FileNotFoundError:
            return False

    wait_until(enough)


def stop_midway(
    words: list[Any], journal: Path, rows: int, number: int, *, before: Callable[[], object] = lambda: None
) -> tuple[int, str, str]:
    """Start a run and send it a signal once its journal, or whatever is watched, has so many rows.

    A run that was done before the signal came (other work may keep the watcher waiting) is started again.

    Args:
        words: As for ``run``.
        journal: What to watch.
        rows: How many rows to wait for.
        number: The signal.
        before: Called before every start.

    Returns:
        The exit code and both outputs.
    """
    for _ in range(10):
        before()
        with start(*words) as process:
            wait_for_rows(journal, rows, process)
            process.send_signal(number)
            out, errors = process.communicate()
        if process.returncode != 0:
            return process.returncode, out.decode(), errors.decode()
    raise AssertionError("it was always done before the signal came")


def read(path: Path) -> list[dict[str, Any]]:
    """A table, by its ending."""
    if path.suffix == ".parquet":
        result = duckdb.sql(f"FROM '{path}'")
        return [dict(zip(result.columns, row, strict=True)) for row in result.fetchall()]
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    text = path.read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else json.loads(text)
