"""The whole benchmark: contestants take turns, each in a process of its own, from empty and from warm caches."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from animal_classification.common.limits import available_cpus
from animal_classification.errors import AnimalsError

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Options:
    """What to measure.

    Attributes:
        folder: A folder for each class.
        repeat: How often each contestant runs.
        divisions: Random divisions on which accuracy is compared; 0 for none.
        overrides: Further words for ``animals train``.
    """

    folder: Path
    repeat: int = 3
    divisions: int = 20
    overrides: tuple[str, ...] = ()


def run(options: Options, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure everything; ``say`` takes lines of progress.

    Raises:
        AnimalsError: A contestant failed.
    """
    rounds = []
    with tempfile.TemporaryDirectory(prefix="animals-bench-") as temporary:
        work = Path(temporary)
        manifest = work / "split.parquet"
        _run(work, "shared", [*_ANIMALS, "data", "split", str(options.folder), "-o", str(manifest), "--json"])
        for number in range(options.repeat):
            say(f"round {number + 1} of {options.repeat}")
            rounds.append(_round(options, work, f"cache-{number}", manifest))
        report: dict[str, Any] = {
            "photos": rounds[0]["engine"]["photos"],
            "engine": rounds[0]["engine"]["engine"],
            "sizes": {name: rounds[0][name]["size"] for name in ("engine", "engine, smaller")},
            "cpus": available_cpus(),
            "seconds": {name: [row[name]["seconds"] for row in rounds] for name in rounds[0]},
            "ratios": {
                name: statistics.median(row["cold"]["seconds"] / row[name]["seconds"] for row in rounds)
                for name in ("engine", "engine, smaller")
            },
            "accuracy": {name: rounds[0][name]["accuracy"] for name in ("cold", "by hand")},
        }
        if options.divisions:
            say(f"{options.divisions} divisions")
            words = [sys.executable, "-m", "benchmarks.train.quality", str(options.folder), str(options.divisions)]
            report["divisions"] = options.divisions
            report["quality"] = _run(work, "shared", words)[0]
    return report


_ANIMALS = [sys.executable, "-m", "animal_classification.cli"]


def _round(options: Options, work: Path, cache: str, manifest: Path) -> dict[str, dict[str, Any]]:
    train = [*_ANIMALS, "train", f"data.path={options.folder}", f"output={work / cache / 'runs'}", "--json", "--quiet"]
    found: dict[str, dict[str, Any]] = {}
    python = [sys.executable, "-m"]
    for name, size in (("engine", "probe"), ("engine, smaller", "built-in")):
        found[name] = _run(work, cache, [*python, "benchmarks.train.engine_alone", str(options.folder), size])[0]
    for name in ("cold", "warm"):
        result, seconds = _run(work, cache, [*train, *options.overrides])
        found[name] = {"seconds": seconds, "accuracy": result["accuracy"]}
    result, seconds = _run(work, cache, [*python, "benchmarks.train.by_hand", str(manifest)])
    found["by hand"] = {"seconds": seconds, "accuracy": result["accuracy"]}
    return found


def _run(work: Path, cache: str, words: list[str]) -> tuple[dict[str, Any], float]:
    """What a process printed, and how long it took from start to end."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment["XDG_CACHE_HOME"] = str(work / cache)
    begun = time.perf_counter()
    done = subprocess.run(words, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begun
    if done.returncode:
        raise AnimalsError(f"{' '.join(words[1:4])} failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    return json.loads(done.stdout.strip().splitlines()[-1]), seconds
