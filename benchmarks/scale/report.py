"""From measurements to the tables: everything that is printed is computed here, nothing measured."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.scale.sim import PHOTOS, SHARD, SOURCES, TOLERANCE

START, END = "<!-- bench:batch -->", "<!-- /bench:batch -->"
NOISY = 0.05
PROMISES = {"local": 0.95, "ray": 0.85}
FIRST_SECONDS = 2.0


def steady_ms(turn: Mapping[str, Any]) -> float:
    """Processor milliseconds of a photo, without the starts of the workers."""
    return float((turn["cpu"] - turn["start_cpu"]) / turn["photos"] * 1000)


def efficiencies(turns: Sequence[Mapping[str, Any]]) -> dict[tuple[str, int], float]:
    """For each runner and number of workers: the processor time of a photo with one worker, over that with so many.

    By pairs of the same turn, so that what else ran then hit both; the median of these.
    """
    found: dict[tuple[str, int], list[float]] = {}
    ones: dict[str, list[float]] = {}
    for turn in turns:
        if turn["workers"] == 1:
            ones.setdefault(turn["runner"], []).append(steady_ms(turn))
        else:
            found.setdefault((turn["runner"], turn["workers"]), []).append(steady_ms(turn))
    return {
        key: median(one / many for one, many in zip(ones[key[0]], values, strict=True))
        for key, values in found.items()
        if key[0] in ones
    }


def render(report: Mapping[str, Any]) -> str:
    """Both tables, as Markdown."""
    machine = report["machine"]
    lines = [
        f"Measured on {machine['cores']} cores ({machine['cpu']}), shards of {report['shard']} photos, medians:",
        "",
        "| runner | workers | photos/s | processor ms a photo | first rows after | memory (PSS) | efficiency |",
        "|---|---|---|---|---|---|---|",
    ]
    turns = report["turns"]
    efficiency = efficiencies(turns)
    for runner, workers in dict.fromkeys((turn["runner"], turn["workers"]) for turn in turns):
        some = [turn for turn in turns if (turn["runner"], turn["workers"]) == (runner, workers)]
        share = efficiency.get((runner, workers))
        lines.append(
            f"| {runner} | {workers} | {median(one['photos'] / one['seconds'] for one in some):.0f} "
            f"| {median(map(steady_ms, some)):.1f} | {median(one['first'] for one in some):.1f} s "
            f"| {max(one['memory_mb'] for one in some):.0f} MB | {'' if share is None else f'{share:.2f}'} |"
        )
    others = max(turn["others"] for turn in turns)
    if others > NOISY:
        lines += [
            "",
            f"Other programs took up to {others:.0%} of the processors meanwhile: photos a second and seconds say "
            "little, and processor time is somewhat higher than it would be alone.",
        ]
    if report.get("memory"):
        lines += ["", *memory_lines(report["memory"])]
    if "projection" in report:
        lines += ["", *projection_lines(report["projection"])]
    return "\n".join(lines)


def memory_lines(turns: Sequence[Mapping[str, Any]]) -> list[str]:
    """What many names cost."""
    return [
        "Memory of a process at most (RSS), for names of four small photos, in shards of 2,000:",
        "",
        "| names | plan | worker | merge |",
        "|---|---|---|---|",
        *(
            f"| {one['names']:,} | {one['plan']:.0f} MB | {one['worker']:.0f} MB | {one['merge']:.0f} MB |"
            for one in turns
        ),
    ]


def projection_lines(projection: Mapping[str, Any]) -> list[str]:
    """What is simulated, after whether it says what was measured, and before what it takes for granted."""
    lines = []
    if "worst" in projection:
        verdict = "within" if projection["worst"] <= TOLERANCE else "NOT within: do not believe the rest,"
        lines += [
            f"The simulation foretells the processor time of turns that it was not given {verdict} {TOLERANCE:.0%} "
            f"(worst {projection['worst']:.1%}).",
            "",
        ]
    lines += [
        f"Simulated: {PHOTOS:,} photos in shards of {SHARD:,}, workers of one core.",
        "",
        "| workers | photos are | Google: time | efficiency | Amazon, one prefix: time | efficiency |",
        "|---|---|---|---|---|---|",
    ]
    by_place = {(row["workers"], row["how"], row["store"]): row for row in projection["rows"]}
    for workers, how in dict.fromkeys((row["workers"], row["how"]) for row in projection["rows"]):
        google, amazon = (by_place[workers, how, store] for store in ("Google", "Amazon"))
        lines.append(
            f"| {workers:,} | {how} | {_minutes(google)} | {google['efficiency']:.0%} "
            f"| {_minutes(amazon)} | {amazon['efficiency']:.0%} |"
        )
    assumed = ", ".join(f"{name} {value:g}" for name, value in projection["assumptions"].items())
    return [*lines, "", f"Assumed: {assumed}.", "", *(f"- {name}: {source}." for name, source in SOURCES.items())]


def _minutes(row: Mapping[str, Any]) -> str:
    return f"{row['seconds'] / 60:.0f} min"


def insert(text: str, table: str) -> str | None:
    """The text with the table between its markers; ``None`` where there are none."""
    pattern = re.compile(f"{re.escape(START)}.*{re.escape(END)}", re.DOTALL)
    if not pattern.search(text):
        return None
    return pattern.sub(lambda _: f"{START}\n{table}\n{END}", text)
