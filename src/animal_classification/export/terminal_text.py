"""An export beside its original, as lines for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from animal_classification.export.comparison import Compared

_MEGA = 1e6


@dataclass(frozen=True)
class ReportColumn:
    """One column of the comparison.

    Attributes:
        name: With its version.
        accuracy: Top-1, in [0, 1].
        answered_right: Share of photos of which a person is told what they show.
        bytes: Size of what is run.
        milliseconds: A photo, on one thread, by engine.
    """

    name: str
    accuracy: float
    answered_right: float
    bytes: int
    milliseconds: Mapping[str, float]


def table_lines(sides: Sequence[ReportColumn], compared: Compared, float32_bytes: int) -> list[str]:
    """A line for each of the two, under a heading."""
    engines = list(sides[-1].milliseconds)
    heading = [
        "",
        f"top-1 (n = {compared.n})",
        "told right",
        "agrees",
        "size",
        "of float32",
        *(f"ms/photo {name}" for name in engines),
    ]
    rows = [heading]
    for side, agreement in zip(sides, (1.0, compared.agreement), strict=True):
        rows.append(
            [
                side.name,
                f"{side.accuracy:.2%}",
                f"{side.answered_right:.2%}",
                f"{agreement:.2%}",
                f"{side.bytes / _MEGA:.2f} MB",
                f"{side.bytes / float32_bytes:.0%}",
                *(_speed(side.milliseconds[name], sides[0].milliseconds[name]) for name in engines),
            ]
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(heading))]
    return [
        "  ".join(cell.ljust(width) if not column else cell.rjust(width) for column, (cell, width) in enumerate(pairs))
        for pairs in (list(zip(row, widths, strict=True)) for row in rows)
    ]


def verdict_lines(compared: Compared, max_drop: float) -> list[str]:
    """What it cost, and what became of the rules that were fitted to the original."""
    lines = [
        f"{_lost(drop.value)} of {what} (loss, 95%: {drop.low:+.2f} to {drop.high:+.2f}; p = {pair.p_value:.2g}); "
        f"allowed to lose: {max_drop:g}"
        for what, drop, pair in (
            ("top-1", compared.drop, compared.labels),
            ("what is told right", compared.answered_drop, compared.told),
        )
    ]
    lines += [
        f"known or unknown: the same answer for {compared.same_refusals:.2%} of the photos",
    ]
    if compared.coverage:
        before, after = compared.coverage
        lines.append(f"prediction sets hold the truth for {after:.1%} of the photos (original: {before:.1%})")
    return lines


def _speed(milliseconds: float, original: float) -> str:
    return f"{milliseconds:.2f} ({original / milliseconds:.2f}x)"


def _lost(points: float) -> str:
    return f"loses {points:.2f} points" if points >= 0 else f"gains {-points:.2f} points"
