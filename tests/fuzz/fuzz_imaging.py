"""Feed damaged photos to ``imaging``: ``python tests/fuzz/fuzz_imaging.py --count 100000 --seed 1 --jobs 2``.

Every case goes through ``decode`` and ``preprocess`` in a worker process. What must come out is pixels of the right
shape or an ``ImageError`` of one line. A case fails the run when it raises anything else, crashes the process, takes
longer than ``--seconds-per-file``, or when the memory of a worker grows by more than ``--growth-mb`` between its
first thousand cases and its last. The file behind every failure is saved.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import itertools
import json
import mmap
import os
import struct
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [path for path in (str(ROOT), str(ROOT / "src")) if path not in sys.path]

from animal_classification.errors import ImageError
from animal_classification.imaging import PreprocessSpec, decode, preprocess
from tests.fuzz.mutations import mutate
from tests.unit.imaging.drawing import corpus

SPEC = PreprocessSpec(size=24)
WARM_UP = 1000
_CASE = struct.Struct("<q")


@dataclass
class Tally:
    """What came of the cases so far.

    Attributes:
        outcomes: How many were decoded, and how many refused by which error.
        failures: One line each.
        slowest: Seconds of the slowest case and its number.
        rss_mb: Resident memory after the warm-up and at the end, in MB, a pair for each worker.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest: tuple[float, int] = (0.0, -1)
    rss_mb: list[tuple[float, float]] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.outcomes += other.outcomes
        self.failures += other.failures
        self.slowest = max(self.slowest, other.slowest)
        self.rss_mb += other.rss_mb


def check(data: bytes) -> str:
    """Run one case; its outcome in a word.

    Raises:
        AssertionError: Pixels of a wrong shape, or a reason that is not one line.
        Exception: Whatever ``imaging`` let through.
    """
    try:
        square = preprocess(data, SPEC)
        assert square.shape == (24, 24, 3), square.shape
        pixels = decode(data, min_side=16)
    except ImageError as error:
        assert error.reason, "no reason"
        assert "\n" not in str(error), "more than one line"
        assert error.where == "bytes", error.where
        return type(error).__name__
    assert pixels.ndim == 3, pixels.shape
    assert pixels.shape[2] == 3, pixels.shape
    assert pixels.dtype == np.uint8, pixels.dtype
    return "decoded"


def resident_mb() -> float:
    gc.collect()
    return float(psutil.Process().memory_info().rss) / 1e6


def work(options: argparse.Namespace) -> None:
    """Be a worker: run cases ``start`` to ``stop``, and note each one's number where the parent can see it."""
    seeds = list(corpus().values())
    tally = Tally()
    with Path(options.progress).open("r+b") as file, mmap.mmap(file.fileno(), _CASE.size) as progress:
        warm = resident_mb()
        for number in range(options.start, options.stop):
            _CASE.pack_into(progress, 0, number)
            if number == options.start + WARM_UP:
                warm = resident_mb()
            data = mutate(seeds, options.seed, number)
            # Kills this process from a thread of its own, so that a hang inside a C library is caught as well.
            faulthandler.dump_traceback_later(options.seconds_per_file, exit=True)
            warnings.simplefilter("error" if number % 2 else "ignore")
            start = time.perf_counter()
            try:
                tally.outcomes[check(data)] += 1
            except Exception as error:
                tally.failures.append(f"case {number}: {type(error).__name__}: {error}")
            tally.slowest = max(tally.slowest, (time.perf_counter() - start, number))
        faulthandler.cancel_dump_traceback_later()
        tally.rss_mb = [(warm, resident_mb())]
    print(json.dumps(vars(tally)))


def supervise(options: argparse.Namespace, start: int, stop: int, folder: Path) -> Tally:
    """Run one share of the cases in workers; after a crash or a hang a new one goes on behind that case."""
    progress = folder / f"progress-{start}"
    total = Tally()
    while start < stop:
        progress.write_bytes(_CASE.pack(start))
        command = [sys.executable, __file__, "--worker", "--progress", str(progress)]
        command += ["--seed", str(options.seed), "--start", str(start), "--stop", str(stop)]
        command += ["--seconds-per-file", str(options.seconds_per_file)]
        with (folder / f"stderr-{start}").open("w+b") as stderr:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=stderr, check=False)
            stderr.seek(0)
            complaint = stderr.read().decode(errors="replace")
        if done.returncode == 0:
            result = json.loads(done.stdout)
            result["outcomes"] = Counter(result["outcomes"])
            result["slowest"] = tuple(result["slowest"])
            total.add(Tally(**result))
            break
        (number,) = _CASE.unpack(progress.read_bytes())
        what = "hang" if "Timeout (" in complaint else f"crash (exit {done.returncode})"
        total.failures.append(f"case {number}: {what}: {complaint[-2000:]}")
        total.outcomes["lost to a crash or a hang"] += number + 1 - start
        start = number + 1
    return total


def save_failures(tally: Tally, options: argparse.Namespace) -> None:
    """Write the files behind the failures."""
    seeds = list(corpus().values())
    for line in tally.failures:
        number = int(line.split()[1].rstrip(":"))
        options.save_to.mkdir(parents=True, exist_ok=True)
        (options.save_to / f"seed{options.seed}-case{number}").write_bytes(mutate(seeds, options.seed, number))


def fuzz(options: argparse.Namespace) -> tuple[Tally, bool]:
    """Run all cases.

    Returns:
        What came of them, and whether the run passes.
    """
    edges = np.linspace(0, options.count, options.jobs + 1).astype(int).tolist()
    total = Tally()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.jobs) as pool:
        shares = [
            pool.submit(supervise, options, first, last, Path(folder)) for first, last in itertools.pairwise(edges)
        ]
        for share in shares:
            total.add(share.result())
    save_failures(total, options)
    grown = max((end - warm for warm, end in total.rss_mb), default=0.0)
    return total, not total.failures and grown <= options.growth_mb


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds-per-file", type=float, default=5.0)
    parser.add_argument("--growth-mb", type=float, default=64.0, help="how much a worker's memory may grow")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--save-to", type=Path, default=Path(tempfile.gettempdir(), "fuzz-imaging"))
    for name in ("--worker", "--progress", "--start", "--stop"):  # between parent and worker only
        extra = {"action": "store_true"} if name == "--worker" else {"type": str if name == "--progress" else int}
        parser.add_argument(name, help=argparse.SUPPRESS, **extra)
    return parser.parse_args(arguments)


def main() -> int:
    options = parse()
    if options.worker:
        work(options)
        return 0
    start = time.perf_counter()
    total, passed = fuzz(options)
    seconds = time.perf_counter() - start
    print(f"{options.count:,} cases of seed {options.seed} in {seconds:.0f} s")
    for outcome, count in total.outcomes.most_common():
        print(f"  {count:>8,}  {outcome}")
    print(f"slowest case: {total.slowest[0]:.2f} s (case {total.slowest[1]})")
    for warm, end in total.rss_mb:
        print(f"memory of a worker: {warm:.0f} MB after {WARM_UP:,} cases, {end:.0f} MB at the end")
    for line in total.failures:
        print(line)
    print("passed" if passed else f"FAILED; files in {options.save_to}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
