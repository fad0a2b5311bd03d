"""Batches with 1, 2 … workers of one thread each, in turns, with the processor time of all their processes."""

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
from itertools import islice
from pathlib import Path
from typing import Any

import psutil

from animal_classification.imaging import is_photo_name
from benchmarks.predict.machine import describe

EVERY = 0.1  # seconds between two looks at the processes
MEMORY_EVERY = 10  # looks


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure.

    Attributes:
        folder: Full-size photos.
        photos: How many names of them.
        workers: Numbers of workers.
        shard: Photos in a shard.
        repeat: Turns.
        ray: Ray's actors as well.
        names: Numbers of names for which memory is measured.
    """

    folder: Path
    photos: int
    workers: tuple[int, ...]
    shard: int
    repeat: int
    ray: bool = False
    names: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One run of a batch.

    Attributes:
        runner: ``local`` or ``ray``.
        workers: Processes of one thread.
        photos: Rows.
        shards: Their shards.
        seconds: From the command to its end.
        first: Seconds to the first shard with its rows.
        cpu: Processor seconds of all processes.
        start_cpu: Of these, until the workers' models were loaded (local only).
        memory_mb: Proportional set size of all processes, at most.
        others: Share of the machine's processor time that went to other programs.
    """

    runner: str
    workers: int
    photos: int
    shards: int
    seconds: float
    first: float
    cpu: float
    start_cpu: float
    memory_mb: float
    others: float


def run(options: Options, say: Callable[[str], None]) -> dict[str, Any]:
    """Every number of workers once in each turn, so that what else runs here hits all alike."""
    runners = ("local", "ray") if options.ray else ("local",)
    turns: list[Turn] = []
    with tempfile.TemporaryDirectory() as temporary:
        photos = _names(options, Path(temporary, "photos"))
        for number in range(options.repeat):
            # Ray takes half a minute to start: it has every second turn.
            for runner in runners if number % 2 == 0 else ("local",):
                for workers in options.workers:
                    batch = Path(temporary, f"{runner}{workers}-{number}")
                    turn = _turn(options, photos, batch, runner, workers)
                    rate = turn.photos / turn.seconds
                    say(f"{runner}, {workers} workers: {rate:.0f} photos/s, {turn.cpu:.1f} s of processor time")
                    turns.append(turn)
    report = {"machine": describe(), "shard": options.shard, "turns": [asdict(turn) for turn in turns]}
    if options.names:
        from benchmarks.scale.memory import measure  # wants what the tests want

        report["memory"] = measure(options.names, say)
    return report


def _names(options: Options, folder: Path) -> Path:
    """So many names of the photos there are: hard links where they can be, else copies."""
    originals = sorted(path for path in options.folder.iterdir() if is_photo_name(path.name))
    folder.mkdir()
    kept = []
    for original in islice(originals, options.photos):
        copy = folder / f"0000-{original.name}"
        copy.write_bytes(original.read_bytes())
        kept.append(copy)
    for number in range(len(kept), options.photos):
        source = kept[number % len(kept)]
        (folder / f"{number // len(kept):04d}-{source.name[5:]}").hardlink_to(source)
    return folder


def _turn(options: Options, photos: Path, batch: Path, runner: str, workers: int) -> Turn:
    animals = [sys.executable, "-m", "animal_classification.cli", "batch"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["RAY_USAGE_STATS_ENABLED"] = "0"
    plan = [*animals, "plan", str(photos), "--output", str(batch), "--shard", str(options.shard), "--json"]
    planned = json.loads(subprocess.run(plan, check=True, capture_output=True, env=environment).stdout)
    words = [*animals, "run", str(batch), "--runner", runner, "--workers", str(workers), "--json"]
    busy, begun = _busy(), time.monotonic()
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=environment) as process:
        watch = _Watch(process.pid, batch / "out", begun)
        while process.poll() is None:
            watch.look()
            time.sleep(EVERY)
        said = json.loads(process.stdout.read())  # type: ignore[union-attr]
    seconds = time.monotonic() - begun
    if process.returncode or said["errors"]:
        raise RuntimeError(f"{' '.join(words)}: {said}")
    used = _busy() - busy
    return Turn(
        runner=runner,
        workers=workers,
        photos=said["rows"],
        shards=planned["shards"],
        seconds=seconds,
        first=watch.first or seconds,
        cpu=watch.cpu,
        start_cpu=said["start_cpu_seconds"],
        memory_mb=watch.memory / 1e6,
        others=max(0.0, used - watch.cpu) / max(1e-9, seconds * (os.cpu_count() or 1)),
    )


class _Watch:
    """Looks at a process and all below it, and keeps what it saw of those that are gone."""

    def __init__(self, pid: int, out: Path, begun: float) -> None:
        self._root = psutil.Process(pid)
        self._out = out
        self._begun = begun
        self._seen: dict[tuple[int, float], float] = {}
        self._looks = 0
        self.first: float | None = None
        self.memory = 0.0

    @property
    def cpu(self) -> float:
        return sum(self._seen.values())

    def look(self) -> None:
        memory = 0.0
        with suppress(psutil.Error):
            for process in [self._root, *self._root.children(recursive=True)]:
                with suppress(psutil.Error):
                    times = process.cpu_times()
                    self._seen[process.pid, process.create_time()] = times.user + times.system
                    if self._looks % MEMORY_EVERY == 0:
                        memory += process.memory_full_info().pss
        self.memory = max(self.memory, memory)
        self._looks += 1
        if self.first is None and self._out.is_dir() and any(self._out.iterdir()):
            self.first = time.monotonic() - self._begun


def _busy() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system)
