"""Whether a server stays as large as it is under full load: ``make soak`` (20 minutes), ``make soak MINUTES=2``.

Sends photos to a real server at concurrency 32 all the time and looks at its memory twice a second. What it takes at
first is its buffers and caches; from a tenth of the time on it may not grow by more than 5%.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.predict.processes import CHECKOUT
from benchmarks.serve.server import Target, running

SLICES = 10  # memory is told for so many parts of the time
GROWTH = 0.05
MOST_MB = 450.0


def watch(target: Target, client: subprocess.Popen[bytes]) -> list[tuple[float, float]]:
    """Seconds and MB until the client has ended."""
    began, seen = time.monotonic(), []
    while client.poll() is None:
        memory = target.memory_mb()
        if memory is not None:
            seen.append((time.monotonic() - began, memory))
        time.sleep(0.5)
    return seen


def curve_of(seen: Sequence[tuple[float, float]]) -> list[float]:
    """The median MB of each part of the time."""
    whole = seen[-1][0] / SLICES
    parts: list[list[float]] = [[] for _ in range(SLICES)]
    for seconds, memory in seen:
        parts[min(SLICES - 1, int(seconds / whole))].append(memory)
    return [median(part) for part in parts if part]


def judge(seen: Sequence[tuple[float, float]], client: dict[str, Any]) -> dict[str, Any]:
    """The report: the curve, its growth from the second part to the last, and what was answered."""
    curve = curve_of(seen)
    growth = curve[-1] / curve[1] - 1
    lost = {status: count for status, count in client["statuses"].items() if status != "200"}
    return {
        "memory_mb": [round(part, 1) for part in curve],
        "most_mb": round(max(memory for _, memory in seen), 1),
        "growth": round(growth, 4),
        "photos": client["statuses"].get("200", 0),
        "photos_per_second": round(client["statuses"].get("200", 0) / client["seconds"], 1),
        "not_200": lost,
        "passed": growth <= GROWTH and max(memory for _, memory in seen) <= MOST_MB and not lost,
    }


def main() -> None:
    """Run it, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--concurrency", type=int, default=32)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="animals-soak-") as temporary, running(()) as target:
        path = Path(temporary) / "report.json"
        words = [f"--address={target.address}", f"--photos={options.folder}", f"--seconds={60 * options.minutes}"]
        words += [f"--concurrency={options.concurrency}", f"--report={path}"]
        client = subprocess.Popen([sys.executable, "-m", "benchmarks.serve.client", *words], cwd=CHECKOUT)
        try:
            seen = watch(target, client)
        finally:
            client.kill()
        report = judge(seen, json.loads(path.read_text()))
    print(json.dumps(report))
    sys.exit(not report["passed"])


if __name__ == "__main__":
    main()
