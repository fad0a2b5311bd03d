"""Ours beside the peers, on one machine with one client: who answers how many, and how much of what the cores allow."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.predict import machine
from benchmarks.predict.photos import list_photos
from benchmarks.serve import report
from benchmarks.serve.contestants import GROUPS, OURS, Contestant, find_python, started
from benchmarks.serve.run import Options, alone, measure

TRIAL = 3.0  # seconds that each setting of a peer is tried
BUSY = 32


def run(options: Options, say: Callable[[str], None]) -> dict[str, Any]:
    """Choose each peer's best setting, then let all take turns.

    Raises:
        UsageError: No photos in the folder.
        AnimalsError: The peers are not installed, or one does not answer.
    """
    photos = list_photos(options.folder)
    find_python()
    with tempfile.TemporaryDirectory(prefix="animals-bench-") as temporary:
        work = Path(temporary)
        chosen = [_best(group, photos[0], options, work, say) for group in GROUPS]
        runs: list[dict[str, Any]] = []
        without: list[dict[str, Any]] = []
        for turn in range(options.repeat):
            say(f"{turn + 1} of {options.repeat}: what a photo costs without a server")
            without.append(alone(options, work))
            for contestant in chosen:
                say(f"{turn + 1} of {options.repeat}: {contestant.title}, {contestant.settings}")
                runs += _turn(contestant, turn, photos[0], options, work)
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "alone": report.alone(without),
        "rows": [row(contestant, runs, without, options.concurrency) for contestant in chosen],
        "promises": promises(chosen, runs, without),
    }


def _best(
    group: Sequence[Contestant], photo: Path, options: Options, work: Path, say: Callable[[str], None]
) -> Contestant:
    """The setting that answers most at once."""
    if len(group) == 1:
        return group[0]
    rates: dict[Contestant, float] = {}
    for contestant in group:
        say(f"trying {contestant.title}, {contestant.settings}")
        with started(contestant, photo, work / "peers.log") as (target, _):
            found = measure(target, {"concurrency": BUSY}, _with(options, contestant, TRIAL), work)
        rates[contestant] = len(found["latencies"]) / found["seconds"]
    return max(group, key=lambda contestant: rates[contestant])


def _turn(contestant: Contestant, turn: int, photo: Path, options: Options, work: Path) -> list[dict[str, Any]]:
    results = []
    with started(contestant, photo, work / "peers.log") as (target, seconds):
        for concurrency in options.concurrency:
            busy = _busy_seconds()
            found = measure(target, {"concurrency": concurrency}, _with(options, contestant, options.seconds), work)
            mine = (found["server_cpu_seconds"] or 0.0) + found["client_all_cpu_seconds"]
            others = (
                None
                if busy is None
                else max(0.0, _busy_seconds_now() - busy - mine) / (found["all_seconds"] * machine.cores())
            )
            facts = {"title": contestant.title, "turn": turn, "concurrency": concurrency, "first_answer": seconds}
            results.append({**found, **facts, "others": others})
    return results


def _with(options: Options, contestant: Contestant, seconds: float) -> Options:
    values = {**vars(options), "path": contestant.path, "seconds": seconds}
    return Options(**values)


def row(
    contestant: Contestant,
    runs: Sequence[Mapping[str, Any]],
    without: Sequence[Mapping[str, Any]],
    concurrencies: Sequence[int],
) -> dict[str, Any]:
    """One contestant's numbers over all turns."""
    mine = [run for run in runs if run["title"] == contestant.title]
    return {
        "title": contestant.title,
        "settings": contestant.settings,
        "first_answer_seconds": median(run["first_answer"] for run in mine),
        "loads": [report.row({"concurrency": number}, mine, without) for number in concurrencies],
        "others": max((run["others"] for run in mine if run["others"] is not None), default=None),
    }


def promises(
    chosen: Sequence[Contestant], runs: Sequence[Mapping[str, Any]], without: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """What was promised, what was measured, and whether that is enough."""

    def at(title: str, concurrency: int) -> dict[str, Any]:
        return report.row({"concurrency": concurrency}, [run for run in runs if run["title"] == title], without)

    peers = [contestant.title for contestant in chosen if contestant != OURS]
    if not any(run["concurrency"] == BUSY for run in runs) or not peers:
        return []
    ours = at(OURS.title, BUSY)
    best = max(at(title, BUSY)["photos_per_second"] for title in peers)
    lowest = min(at(title, BUSY)["latency_ms"]["p99"] or float("inf") for title in peers)
    found = [
        (f"at {BUSY}, at least 1.25 times the best peer", ours["photos_per_second"] / best, 1.25, 1),
        (f"at {BUSY}, at least 0.85 of what the cores allow", ours["share_of_the_cores"], 0.85, 1),
        (f"at {BUSY}, p99 at most the lowest of the peers', ms", ours["latency_ms"]["p99"], lowest, -1),
    ]
    if any(run["concurrency"] == 1 for run in runs):
        found.append(("at 1, p50 at most 3 ms over decode + infer", at(OURS.title, 1)["over_one_core_ms"], 3.0, -1))
    return [
        {"promise": words, "measured": value, "bound": bound, "kept": sign * value >= sign * bound}
        for words, value, bound, sign in found
    ]


def render(found: Mapping[str, Any]) -> str:
    """The tables, in Markdown."""
    loads = [load["concurrency"] for load in found["rows"][0]["loads"]]
    head = ["", *(f"photos/s at {number}" for number in loads)]
    head += [f"{name} ms at {number}" for number in loads for name in ("p50", "p99")]
    head += ["of the cores", "memory MB", "first answer s", "not 200", "settings"]
    lines = [f"{found['machine']['cpu']}, {found['machine']['cores']} cores; {found['when']}", ""]
    lines += [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in found["rows"]:
        last = row["loads"][-1]
        cells = [row["title"], *(f"{load['photos_per_second']:.1f}" for load in row["loads"])]
        cells += [report.number(load["latency_ms"][name]) for load in row["loads"] for name in ("p50", "p99")]
        lost = sum(count for load in row["loads"] for key, count in load["statuses"].items() if key != "200")
        cells += [f"{last['share_of_the_cores']:.0%}", report.number(last["server_memory_mb"], 0)]
        cells += [f"{row['first_answer_seconds']:.2f}", str(lost), row["settings"]]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", report.arithmetic(found["alone"], found["rows"][0]["loads"][-1]), ""]
    lines += ["| promised | measured | bound | kept |", "|---|---|---|---|"]
    lines += [
        f"| {each['promise']} | {each['measured']:.2f} | {each['bound']:.2f} | {'yes' if each['kept'] else 'no'} |"
        for each in found["promises"]
    ]
    others = max((row["others"] for row in found["rows"] if row["others"] is not None), default=0.0)
    if others > 0.05:
        lines += ["", f"Beware: other programs took up to {others:.0%} of the cores meanwhile."]
    return "\n".join(lines)


def _busy_seconds() -> float | None:
    try:
        return _busy_seconds_now()
    except OSError:
        return None


def _busy_seconds_now() -> float:
    fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    user, nice, system, _, _, irq, softirq, steal = (int(field) for field in fields[:8])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
