"""Plots as plain HTML and SVG: how many photos each class has, and how large the photos are."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import log10

from animal_classification.data.manifest import ManifestRow
from animal_classification.data.summary import DatasetSummary

_WIDTH, _HEIGHT, _MARGIN = 400, 300, 40
_MOST_POINTS = 3000


def class_bars(summary: DatasetSummary) -> str:
    """A bar for each class, divided by split."""
    totals = {name: counts.total() for name, counts in summary.classes.items()}
    most = max(totals.values(), default=0) or 1
    lines = []
    for name in sorted(totals, key=lambda name: (-totals[name], name)):
        parts = "".join(
            f'<i class="{split or "none"}" style="width:{100 * summary.classes[name][split] / most:.2f}%"></i>'
            for split in summary.splits
        )
        shown = escape(name)
        lines.append(f'<span class="name" title="{shown}">{shown}</span><span class="bar">{parts}</span>')
        lines.append(f"<span>{totals[name]}</span>")
    return f'{_key(summary)}<div class="bars">{"".join(lines)}</div>'


def size_scatter(rows: Sequence[ManifestRow]) -> str:
    """Width against height, both logarithmic, a dot for each photo."""
    sizes = [(row.width, row.height) for row in rows if row.width and row.height]
    if not sizes:
        return '<p class="soft">No photo could be read.</p>'
    sizes = sizes[:: -(-len(sizes) // _MOST_POINTS)]
    numbers = [number for size in sizes for number in size]
    low, high = log10(min(numbers)) - 0.05, log10(max(numbers)) + 0.05

    def across(number: float) -> float:
        return _MARGIN + (log10(number) - low) / (high - low) * (_WIDTH - _MARGIN - 10)

    def up(number: float) -> float:
        return _HEIGHT - _MARGIN - (log10(number) - low) / (high - low) * (_HEIGHT - _MARGIN - 10)

    grid = []
    for tick in _ticks(low, high):
        x, y = across(tick), up(tick)
        grid.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="10" y2="{_HEIGHT - _MARGIN}"/>')
        grid.append(f'<line x1="{_MARGIN}" x2="{_WIDTH - 10}" y1="{y:.1f}" y2="{y:.1f}"/>')
        grid.append(f'<text x="{x:.1f}" y="{_HEIGHT - _MARGIN + 14}" text-anchor="middle">{tick}</text>')
        grid.append(f'<text x="{_MARGIN - 5}" y="{y + 4:.1f}" text-anchor="end">{tick}</text>')
    dots = "".join(f'<circle cx="{across(w):.1f}" cy="{up(h):.1f}" r="3"/>' for w, h in sizes)
    axes = f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 8}" text-anchor="middle">width in pixels; upwards: height</text>'
    name = f"Widths and heights of {len(sizes)} photos: {min(numbers)} to {max(numbers)} pixels"
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{name}">{"".join(grid)}{dots}{axes}</svg>'


def _ticks(low: float, high: float) -> list[int]:
    candidates = [step * 10**power for power in range(6) for step in (1, 2, 5)]
    return [tick for tick in candidates if low <= log10(tick) <= high]


def _key(summary: DatasetSummary) -> str:
    if summary.splits in ([""], []):
        return ""
    words = (f'<span class="key {split or "none"}"></span>{split or "no split"}' for split in summary.splits)
    return f'<p class="soft">{"".join(words)}</p>'
