"""Plots of the height of a line, that stand in a table's cell."""

from __future__ import annotations

from animal_classification.evaluation.result import Interval
from animal_classification.report.svg import Svg


def share_bar(share: float, says: str, *, interval: Interval | None = None) -> Svg:
    """A bar from 0 to 100%, with its interval as a thin line."""
    drawing = Svg(100, 12, says, stretched=True, kind="line-plot")
    drawing.add("rect", x=0, y=1, width=100, height=10, kind="empty")
    drawing.add("rect", x=0, y=1, width=100 * share, height=10, kind="filled")
    if interval is not None:
        drawing.add(
            "rect", x=100 * interval.low, y=5, width=100 * (interval.high - interval.low), height=2, kind="spread"
        )
    return drawing


def interval_mark(number: Interval, overall: float, lowest: float, says: str) -> Svg:
    """An interval between ``lowest`` and 100%, and where the whole stands."""
    scale = 100 / (1 - lowest or 1.0)

    def across(share: float) -> float:
        return (share - lowest) * scale

    drawing = Svg(100, 12, says, stretched=True, kind="line-plot")
    drawing.add("rect", x=0, y=1, width=100, height=10, kind="empty")
    width = max(across(number.high) - across(number.low), 0.6)
    drawing.add("rect", x=min(across(number.low), 99.4), y=4, width=width, height=4, kind="range")
    drawing.add("rect", x=min(max(across(number.value) - 0.6, 0.0), 98.8), y=1, width=1.2, height=10, kind="mark")
    drawing.add("rect", x=min(across(overall), 99.5), y=0, width=0.5, height=12, kind="whole")
    return drawing
