"""The whole benchmark: starts a server, lets the loads take turns, makes the report."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from animal_classification.errors import AnimalsError
from benchmarks.predict import machine, processes
from benchmarks.predict.photos import list_photos
from benchmarks.serve import plots, report
from benchmarks.serve.server import Target, running

CHECKOUT = processes.CHECKOUT
__all__ = ["Options", "plots", "report", "run"]


@dataclass(frozen=True)
class Options:
    """What to measure.

    Attributes:
        folder: Where the photos are.
        address: A server that runs already; by default one is started.
        serve: Options for the one that is started.
        concurrency: Of the closed loops.
        rates: Requests a second of the open loops.
        seconds: That each load takes.
        repeat: How often each is run.
        count: How many photos are sent, again and again.
        key: An API key.
        path: Where photos are sent.
    """

    folder: Path
    address: str | None = None
    serve: tuple[str, ...] = ()
    concurrency: tuple[int, ...] = (1, 8, 32)
    rates: tuple[float, ...] = ()
    seconds: float = 10.0
    repeat: int = 3
    count: int = 200
    key: str | None = None
    path: str = "/v1/predict"


def run(options: Options, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure everything; ``say`` takes lines of progress.

    Raises:
        UsageError: No photos in the folder.
        AnimalsError: The server or the client failed.
    """
    list_photos(options.folder)
    context: AbstractContextManager[Target]
    context = nullcontext(Target(options.address)) if options.address else running(options.serve)
    with tempfile.TemporaryDirectory(prefix="animals-bench-") as temporary, context as target:
        work = Path(temporary)
        loads: list[dict[str, Any]] = [{"concurrency": number} for number in options.concurrency]
        loads += [{"rate": rate} for rate in options.rates]
        runs: list[dict[str, Any]] = []
        without: list[dict[str, Any]] = []
        for turn in range(options.repeat):
            if options.address is None:
                say(f"{turn + 1} of {options.repeat}: what a photo costs without a server")
                without.append(alone(options, work))
            for load in loads:
                say(f"{turn + 1} of {options.repeat}: {report.title(load)}")
                runs.append({**load, **measure(target, load, options, work)})
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "server": options.address or " ".join(("animals serve", *options.serve)),
        "rows": [report.row(load, runs, without) for load in loads],
        "alone": report.alone(without),
    }


def measure(target: Target, load: dict[str, Any], options: Options, work: Path) -> dict[str, Any]:
    """One load on a server that answers."""
    words = [f"--{name}={value}" for name, value in load.items()]
    words += [f"--address={target.address}", f"--photos={options.folder}", f"--seconds={options.seconds}"]
    words += [f"--count={options.count}", f"--path={options.path}", *([f"--key={options.key}"] if options.key else [])]
    before, began = target.cpu_seconds(), time.perf_counter()
    measured = _run_module("benchmarks.serve.client", [*words, "--warm-up=0.5"], work)
    after = target.cpu_seconds()
    measured["server_cpu_seconds"] = None if before is None or after is None else after - before
    measured["all_seconds"] = time.perf_counter() - began
    measured["server_memory_mb"] = target.memory_mb()
    return measured


def alone(options: Options, work: Path) -> dict[str, Any]:
    """What a photo costs without a server."""
    one = _run_module("benchmarks.serve.alone", [str(options.folder), f"--count={options.count}"], work)
    return one | _run_module("benchmarks.predict.floor", [str(options.folder)], work)


def _run_module(module: str, words: Sequence[str], work: Path) -> dict[str, Any]:
    """Run a module that writes a report, to its end.

    Raises:
        AnimalsError: It failed.
    """
    path = work / "report.json"
    path.unlink(missing_ok=True)
    command = [sys.executable, "-m", module, *words, "--report", str(path)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise AnimalsError(f"{module} ended with {done.returncode}: {last}")
    result: dict[str, Any] = json.loads(path.read_text())
    return result
