"""What judging drift costs those who wait for an answer: the same server, judging and not judging, in turns."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from animal_classification.errors import AnimalsError
from benchmarks.predict import machine
from benchmarks.serve.report import percentile
from benchmarks.serve.run import Options, measure
from benchmarks.serve.server import Target, running

EVERY = 3.0  # seconds: far more often than anybody would, so that what does not show here shows nowhere
OFF, ON = "not judging", f"judging every {EVERY:g} s"


def run(options: Options, say: Callable[[str], None]) -> dict[str, Any]:
    """Let judging and not judging take turns under the open loops of ``options``.

    Raises:
        UsageError: No photos in the folder.
        AnimalsError: The server failed, or no window was judged, so that nothing was compared.
    """
    runs: list[dict[str, Any]] = []
    windows: list[int] = []
    with tempfile.TemporaryDirectory(prefix="animals-bench-") as temporary:
        work = Path(temporary)
        with running([*options.serve, "--prediction-log", f"--log-folder={work / 'log'}"]) as target:
            for turn in range(options.repeat):
                for rate in options.rates:
                    for title in (OFF, ON) if turn % 2 == 0 else (ON, OFF):
                        say(f"{turn + 1} of {options.repeat}: {rate:g} a second, {title}")
                        with _judging(target, windows, title == ON):
                            # A photo that came before counts once only: each turn goes on where the last one ended.
                            sent = sum(len(run["latencies"]) for run in runs)
                            found = measure(target, {"rate": rate, "first": sent}, options, work)
                        runs.append({"title": title, "rate": rate, **found})
    if not sum(windows):
        raise AnimalsError("no window was judged: give more photos (--photos), more turns (--repeat) or --seconds")
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "windows": sum(windows),
        "rows": [row(title, rate, runs) for rate in options.rates for title in (OFF, ON)],
    }


@contextmanager
def _judging(target: Target, windows: list[int], wanted: bool) -> Iterator[None]:
    """Have the server judge what is new again and again; how many windows it judged is added to ``windows``."""
    done = threading.Event()

    def ask() -> None:
        while not done.wait(EVERY):
            answer = httpx.post(target.address + "/v1/drift/judge", timeout=60)
            windows.append(len(answer.raise_for_status().json()["verdicts"]))

    thread = threading.Thread(target=ask)
    if wanted:
        thread.start()
    try:
        yield
    finally:
        done.set()
        if wanted:
            thread.join()


def row(title: str, rate: float, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One server under one load: milliseconds are medians of the turns."""
    mine = [run for run in runs if (run["title"], run["rate"]) == (title, rate)]
    latencies = [sorted(1e3 * seconds for seconds in run["latencies"]) for run in mine]
    p50, p99 = ([percentile(one, percent) or 0.0 for one in latencies] for percent in (50, 99))
    return {
        "server": title,
        "rate": rate,
        "answers": sum(map(len, latencies)),
        "p50_ms": median(p50),
        "p99_ms": median(p99),
        "p99_of_turns_ms": [min(p99), max(p99)],
        "cpu_seconds": sum(run["server_cpu_seconds"] for run in mine),
    }


def render(report: dict[str, Any]) -> str:
    """For people, and for the docs."""
    lines = [
        f"{report['windows']} windows of 200 photos judged meanwhile.",
        "",
        "| a second | server | answers | p50 ms | p99 ms | p99 of turns | CPU s |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in report["rows"]:
        low, high = row["p99_of_turns_ms"]
        lines.append(
            f"| {row['rate']:g} | {row['server']} | {row['answers']} | {row['p50_ms']:.1f} | {row['p99_ms']:.1f} "
            f"| {low:.1f} to {high:.1f} | {row['cpu_seconds']:.1f} |"
        )
    return "\n".join(lines)
