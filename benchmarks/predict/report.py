"""From measurements to numbers and to the table: everything that is printed is computed here, nothing measured."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.predict.contestants import BF16, FLOOR, OURS, TUNED, UNTUNED, Contestant
from benchmarks.predict.processes import Measured

START, END = "<!-- bench:predict -->", "<!-- /bench:predict -->"
NOISY = 0.05  # share of the cores that other jobs may take before the table says so
MEMORY_LIMIT_MB = 600
MEMORY_NOISE = 1.03
# Against what, at least how many times as fast.
SPEED_PROMISES = ((TUNED, 1.9, "times the tuned PyTorch loop"), (UNTUNED, 3.5, "times the untuned PyTorch loop"))
FLOOR_PROMISE = 0.90


def rate(contestant: Contestant, measured: Measured, photos: int) -> float:
    """Photos per second, start-up apart; for the floor, what decoding plus inference would allow."""
    report = measured.report
    if contestant.key == FLOOR:
        return float(1 / (report["decode"] + report["inference"]))
    return float(photos / report["seconds"])


def row(contestant: Contestant, runs: Sequence[Measured], photos: int) -> dict[str, Any]:
    """One contestant's numbers over all repeats."""
    rates = [rate(contestant, run, photos) for run in runs]
    result: dict[str, Any] = {
        "key": contestant.key,
        "title": contestant.title,
        "settings": contestant.settings,
        "photos_per_second": {"median": median(rates), "min": min(rates), "max": max(rates), "all": rates},
        "wall_seconds": median(run.wall for run in runs),
        "peak_mb": max(run.peak_mb for run in runs),
        "others": max((run.others for run in runs if run.others is not None), default=None),
    }
    if contestant.key == FLOOR:
        decode, inference = (median(run.report[part] for run in runs) * 1000 for part in ("decode", "inference"))
        result |= {"decode_ms": decode, "inference_ms": inference}
        result["settings"] = f"decode {decode:.2f} ms + inference {inference:.2f} ms a photo, each on all cores"
        result |= {"wall_seconds": None, "peak_mb": None}
    return result


def promises(rows: Sequence[Mapping[str, Any]], memory: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What is promised beside what was measured; what was not measured is left out."""
    speeds = {each["key"]: each["photos_per_second"]["all"] for each in rows if "photos_per_second" in each}
    kept = [
        _at_least(words, least, _ratio(speeds[OURS], speeds[key]))
        for key, least, words in SPEED_PROMISES
        if key in speeds
    ]
    if FLOOR in speeds:
        kept.append(_at_least("of what the cores allow", FLOOR_PROMISE, _ratio(speeds[OURS], speeds[FLOOR])))
    kept += [_at_most(f"MB peak on {each['photos']:,} photos", MEMORY_LIMIT_MB, each["peak_mb"]) for each in memory]
    if len(memory) > 1:
        growth = memory[-1]["peak_mb"] / memory[0]["peak_mb"]
        words = f"times as much on {memory[-1]['photos']:,} as on {memory[0]['photos']:,}"
        kept.append(_at_most(words, MEMORY_NOISE, growth))
    return kept


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Median over the rounds: each compares runs that stood side by side, on a machine that may change its speed."""
    return median(mine / other for mine, other in zip(ours, theirs, strict=True))


def _at_least(what: str, bound: float, measured: float) -> dict[str, Any]:
    return {"what": what, "bound": "at least", "promised": bound, "measured": measured, "kept": measured >= bound}


def _at_most(what: str, bound: float, measured: float) -> dict[str, Any]:
    return {"what": what, "bound": "at most", "promised": bound, "measured": measured, "kept": measured <= bound}


def warnings(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Why not to trust the numbers."""
    noisy = [each for each in rows if (each.get("others") or 0) > NOISY]
    if not noisy:
        return []
    worst = max(noisy, key=lambda each: float(each["others"]))
    return [
        f"other jobs took up to {worst['others']:.0%} of the cores while this ran ({worst['title']}): "
        "do not quote these numbers, run it again on a quiet machine"
    ]


def render(report: Mapping[str, Any]) -> str:
    """The table, in Markdown that also reads well in a terminal."""
    machine, versions = report["machine"], report["versions"]
    stack = ", ".join(f"{name} {number}" for name, number in versions.items())
    lines = [
        f"{report['photos']:,} photos ({report['distinct']:,} different, {report['megabytes']:,.0f} MB), median of "
        f"{report['repeat']}, {report['date']}. {machine['cpu']}, {machine['cores']} cores, {machine['system']}, "
        f"Python {machine['python']}; {stack}.",
        "",
        *(f"**Warning:** {line}.\n" for line in report["warnings"]),
        *_grid(
            ["", "photos/s", "lowest to highest", "whole command", "peak memory", "settings"],
            map(_cells, report["rows"]),
        ),
        "",
        *_grid(["promised", "measured", "kept"], map(_promise_cells, report["promises"])),
    ]
    for key, share in report["agreement"].items():
        lines += ["", f"Same first answer as {key} on {share:.1%} of the photos."]
    if report["tuning"]:
        under = ", ".join(report["tuning"]["allocators"])
        lines += ["", f"The tuned loop is the best of {report['tuning']['trials']} settings tried under {under}."]
    return "\n".join(lines)


def _cells(row: Mapping[str, Any]) -> list[str]:
    if "photos_per_second" not in row:
        return [row["title"], "not run", "", "", "", row["settings"]]
    speed = row["photos_per_second"]
    return [
        row["title"] + (" (not float32)" if row["key"] == BF16 else ""),
        f"{speed['median']:.1f}",
        f"{speed['min']:.1f} to {speed['max']:.1f}",
        "" if row["wall_seconds"] is None else f"{row['wall_seconds']:.1f} s",
        "" if row["peak_mb"] is None else f"{row['peak_mb']:.0f} MB",
        row["settings"],
    ]


def _promise_cells(promise: Mapping[str, Any]) -> list[str]:
    digits = 0 if promise["promised"] >= 100 else 2
    return [
        f"{promise['bound']} {promise['promised']:g} {promise['what']}",
        f"{promise['measured']:.{digits}f}",
        "yes" if promise["kept"] else "NO",
    ]


def _grid(header: Sequence[str], rows: Any) -> list[str]:
    table = [list(header), *rows]
    widths = [max(len(line[column]) for line in table) for column in range(len(header))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in table
    ]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def insert(text: str, table: str) -> str | None:
    """``text`` with ``table`` between the markers; None where the markers are missing."""
    if START not in text or END not in text.partition(START)[2]:
        return None
    pattern = re.compile(re.escape(START) + ".*?" + re.escape(END), re.DOTALL)
    return pattern.sub(lambda _: f"{START}\n\n{table}\n\n{END}", text, count=1)
