"""Memory of a batch of many names: plan, workers and merge must take as much for a hundred thousand as for ten."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

# The tests' own: names of four photos that take no space, and a model that takes next to no time.
from tests.support.batches import plant_trouble
from tests.support.tiny_bundle import write_tiny_bundle

EVERY = 0.05  # seconds between two looks
SHARD = 2000
WORKERS = 2


@dataclass(frozen=True, kw_only=True)
class MemoryTurn:
    """One batch, in megabytes of memory that a process holds at most (RSS).

    Attributes:
        names: Of four photos.
        plan: Of ``animals batch plan``.
        worker: Of the largest worker.
        merge: Of ``animals batch merge``, to Parquet.
        seconds: Of all of it.
    """

    names: int
    plan: float
    worker: float
    merge: float
    seconds: float


def measure(counts: tuple[int, ...], say: Callable[[str], None]) -> list[dict[str, Any]]:
    """A batch for each number of names."""
    found = []
    for count in counts:
        with tempfile.TemporaryDirectory() as temporary:
            turn = _turn(Path(temporary), count)
        say(f"{turn.names:,} names: plan {turn.plan:.0f} MB, worker {turn.worker:.0f} MB, merge {turn.merge:.0f} MB")
        found.append(asdict(turn))
    return found


def _turn(place: Path, count: int) -> MemoryTurn:
    begun = time.monotonic()
    model = write_tiny_bundle(place / "model")
    photos = plant_trouble(place / "photos", count, broken=0, vanishing=0, fatal=False).folder
    batch = place / "batch"
    plan = _peak("plan", photos, "--output", batch, "--model", model, "--shard", SHARD)
    worker = _peak("run", batch, "--workers", WORKERS, "--engine", "onnxruntime", children=True)
    merge = _peak("merge", batch, "--output", place / "all.parquet")
    return MemoryTurn(names=count, plan=plan, worker=worker, merge=merge, seconds=time.monotonic() - begun)


def _peak(*words: object, children: bool = False) -> float:
    """The most memory of the process of a command, or of the largest of its children."""
    command = [sys.executable, "-m", "animal_classification.cli", "batch", *map(str, words), "--json"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        root = psutil.Process(process.pid)
        while process.poll() is None:
            with suppress(psutil.Error):
                for one in root.children() if children else [root]:
                    with suppress(psutil.Error):
                        peak = max(peak, one.memory_info().rss)
            time.sleep(EVERY)
        said = process.stdout.read() if process.stdout else b""
    if process.returncode or not json.loads(said):
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return peak / 1e6
