"""Batches of photos among trouble: broken files, files that vanish, a file that ends the process, and kills."""

from __future__ import annotations

import csv
import io
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from PIL import Image

from tests.support.predicting import PHOTOS, start
from tests.support.tiny_bundle import solid

WORKER = "animal_classification.scale.worker_process"
FATAL = b"ends the process"
FATAL_NAME = "00/fatal.jpg"

# What stands for a decoder with a fault in its C code: Python loads this plugin in every process that is started with
# its folder on PYTHONPATH, and it ends the process when Pillow decodes a JPEG with a certain comment.
PLUGIN = f"""
import os, signal
from PIL import JpegImagePlugin

load = JpegImagePlugin.JpegImageFile.load

def faulty(image):
    if image.info.get("comment") == {FATAL!r}:
        os.kill(os.getpid(), signal.SIGSEGV)
    return load(image)

JpegImagePlugin.JpegImageFile.load = faulty
"""


@dataclass
class Trouble:
    """A folder of photos, and what is wrong with some.

    Attributes:
        folder: Where they are.
        names: Of all, as a table has them.
        broken: Names of files that are no photos.
        vanishing: Names of those that :meth:`vanish` deletes.
        fatal: The one that ends the process that decodes it; ``None`` without.
    """

    folder: Path
    names: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    vanishing: list[str] = field(default_factory=list)
    fatal: str | None = None

    def vanish(self) -> None:
        for name in self.vanishing:
            (self.folder / name).unlink()

    def environment(self, plugins: Path) -> dict[str, str]:
        """Of processes whose decoder has the fault."""
        plugins.mkdir(exist_ok=True)
        (plugins / "sitecustomize.py").write_text(PLUGIN)
        old = [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
        return {**os.environ, "PYTHONPATH": os.pathsep.join([str(plugins), *old])}


def plant_trouble(folder: Path, number: int, *, broken: int, vanishing: int, fatal: bool) -> Trouble:
    """So many names of four photos: hard links, so that a hundred thousand take no space."""
    made = Trouble(folder)
    originals = []
    for index, content in enumerate(PHOTOS.values()):
        original = folder.parent / f"original{index}.jpg"
        original.write_bytes(content)
        originals.append(original)
    for index in range(number - fatal):
        name = f"{index // 500:02d}/{index:06d}.jpg"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).hardlink_to(originals[index % len(originals)])
        made.names.append(name)
    for count, index in enumerate(random.Random(number).sample(range(number - fatal), broken + vanishing)):
        name = made.names[index]
        if count < broken:
            (folder / name).unlink()
            (folder / name).write_bytes(b"no photo" * (1 + count % 5))
            made.broken.append(name)
        else:
            made.vanishing.append(name)
    if fatal:
        made.fatal = FATAL_NAME
        Image.fromarray(solid((9, 9, 9))).save(folder / FATAL_NAME, "JPEG", comment=FATAL)
        made.names.append(FATAL_NAME)
    made.names.sort()
    return made


def workers_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The worker processes below a run."""
    found = []
    with suppress(psutil.Error):
        for child in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.Error):
                if WORKER in child.cmdline():
                    found.append(child)
    return found


class Kills:
    """Ends a worker with kill -9 whenever ``due`` says so, for as long as the context lasts.

    Attributes:
        count: How many were killed.
    """

    def __init__(self, process: subprocess.Popen[bytes], due: Callable[[], bool], seed: int = 1) -> None:
        self.count = 0
        self._process = process
        self._due = due
        self._chance = random.Random(seed)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._kill)

    def __enter__(self) -> Kills:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _kill(self) -> None:
        while not self._ended.wait(0.02) and self._process.poll() is None:
            if self._due() and (workers := workers_of(self._process)):
                with suppress(psutil.Error):
                    self._chance.choice(workers).send_signal(signal.SIGKILL)
                    self.count += 1


def after_shards(out: Path, every: int) -> Callable[[], bool]:
    """Says yes when so many more shards have their rows: kills that a slow machine does not turn into a standstill."""
    seen = 0

    def due() -> bool:
        nonlocal seen
        found = shards_in(out)
        if found < seen + every:
            return False
        seen = found
        return True

    return due


def every_seconds(seconds: float, shards: Callable[[], int]) -> Callable[[], bool]:
    """Says yes every so often, but never twice between two shards: a worker may take longer than that to start.

    Args:
        seconds: How often.
        shards: How many have their rows.
    """
    last, seen = time.monotonic(), -1

    def due() -> bool:
        nonlocal last, seen
        now = time.monotonic()
        if now - last < seconds or (found := shards()) <= seen:
            return False
        last, seen = now, found
        return True

    return due


def shards_in(out: Path) -> int:
    """How many shards of a batch on this machine have their rows."""
    return len(list(out.glob("*.parquet"))) if out.is_dir() else 0


def start_batch(*words: object, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    """``animals batch`` as a process."""
    return start("batch", *words, **({"env": env} if env else {}))


def table(path: Path) -> dict[str, list[str]]:
    """From a photo's name to its row of a csv; a name that is there twice fails."""
    _, *rows = csv.reader(io.StringIO(path.read_text("utf-8")))
    found = {row[0]: row[1:] for row in rows}
    assert len(found) == len(rows), "a photo has two rows"
    return found
