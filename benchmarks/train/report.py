"""The report as tables in Markdown, and their place in the docs."""

from __future__ import annotations

import statistics
from typing import Any

START = "<!-- bench train: start -->"
END = "<!-- bench train: end -->"
_TITLES = {
    "engine": "engine alone, preloaded tensors of the size that is used",
    "engine, smaller": "engine alone, preloaded tensors of the size that the backbone was trained with",
    "cold": "`animals train`, empty caches, process start to end",
    "warm": "the same again",
    "by hand": "by hand, process start to end",
}


def render(report: dict[str, Any]) -> str:
    """Markdown."""
    lines = [
        f"{report['photos']} photos, {report['cpus']} CPUs, {report['engine']}; median (smallest to largest) of "
        f"{len(report['seconds']['cold'])} runs.",
        "",
        "| | seconds | accuracy |",
        "|---|---|---|",
    ]
    for name, seconds in report["seconds"].items():
        accuracy = report["accuracy"].get(name)
        shown = f"{statistics.median(seconds):.1f} ({min(seconds):.1f} to {max(seconds):.1f})"
        lines.append(f"| {_TITLES[name]} | {shown} | {'' if accuracy is None else f'{accuracy:.3f}'} |")
    ratios = [f"{ratio:.2f} times that at {report['sizes'][name]} pixels" for name, ratio in report["ratios"].items()]
    lines += [
        "",
        f"From empty caches, as a multiple of the engine alone: {', '.join(ratios)} (medians of the rounds' ratios).",
    ]
    if "quality" in report:
        lines += ["", *_quality(report)]
    return "\n".join(lines)


def _quality(report: dict[str, Any]) -> list[str]:
    lines = [
        f"{report['divisions']} random divisions, 20% for the test: mean, and spread (standard deviation) over them.",
        "",
        "| | accuracy | spread | loss | better than by hand |",
        "|---|---|---|---|---|",
    ]
    for name, row in report["quality"].items():
        gain = "" if name == "by hand" else f"{row['gain']:+.4f} ± {row['gain_error']:.4f}"
        lines.append(f"| {name} | {row['accuracy']:.4f} | {row['spread']:.4f} | {row['loss']:.3f} | {gain} |")
    return lines


def insert(text: str, table: str) -> str | None:
    """``text`` with ``table`` between the markers; ``None`` where there are none."""
    if START not in text or END not in text:
        return None
    before, rest = text.split(START, 1)
    return f"{before}{START}\n\n{table}\n\n{END}{rest.split(END, 1)[1]}"
