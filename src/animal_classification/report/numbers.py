"""How a report writes numbers, and the plurals and lists that go with them."""

from __future__ import annotations

from collections.abc import Sequence

from animal_classification.evaluation.result import Interval


def count(value: int) -> str:
    """A whole number: ``1,046``."""
    return f"{value:,}"


def percent(share: float, digits: int = 1) -> str:
    """A share in percent: ``96.0%``."""
    return f"{100 * share:.{digits}f}%"


def points(share: float, *, signed: bool = False) -> str:
    """A share, or a difference of two, in percentage points: ``2.3``, or with its sign."""
    return f"{100 * share:+.1f}" if signed else f"{100 * share:.1f}"


def decimal(value: float, digits: int = 3) -> str:
    """A plain number: ``0.961``."""
    return f"{value:.{digits}f}"


def significant(value: float) -> str:
    """A number of any size, to two digits: ``0.0031``."""
    return f"{value:.2g}"


def percent_range(interval: Interval) -> str:
    """The ends of an interval: ``94.1% to 97.0%``."""
    return f"{percent(interval.low)} to {percent(interval.high)}"


def photos(value: int) -> str:
    """``1 photo``, ``2 photos``."""
    return f"{count(value)} photo{'' if value == 1 else 's'}"


def listed(words: Sequence[str], *, last: str = ", ") -> str:
    """Words with commas between them, ``last`` before the last one."""
    *first, end = words
    return f"{', '.join(first)}{last}{end}" if first else end
