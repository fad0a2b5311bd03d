"""Histograms with fixed edges, which can be added up: of probabilities, and of seconds.

A bin's number never changes its meaning: the numbers are in databases. Quantiles are interpolated within a bin.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from math import isfinite

# Hundredths up to 0.95; from there on every bin halves the distance to 1 in four steps, down to 1 - 0.0001.
PROBABILITIES = (
    *(number / 100 for number in range(96)),
    *(1 - 0.05 * 2 ** (-step / 4) for step in range(1, 36)),
    1.0,
)
# Eight bins for each doubling, from a millisecond to half an hour.
SECONDS = (0.0, *(0.001 * 2 ** (step / 8) for step in range(8 * 21)))
SHOWN = 20  # equal parts of [0, 1]


def bin_of(value: float, edges: Sequence[float]) -> int:
    """The number of the bin that holds a value; what is beyond the edges is in the outermost ones."""
    if not isfinite(value):
        return 0
    return min(max(bisect_right(edges, value) - 1, 0), len(edges) - 2)


def quantile(bins: Mapping[int, int], edges: Sequence[float], share: float) -> float | None:
    """The value below which a share of the values lies; ``None`` where there are none.

    It is in the bin of the value of that rank, so it is wrong by a bin's width at most: 9 % of a number of seconds,
    0.01 of a probability below 0.95 and a fifth of its distance to 1 above.
    """
    wanted = share * sum(bins.values())
    if wanted <= 0:
        return edges[min(bins)] if bins else None
    below = 0
    for number in sorted(bins):
        if below + bins[number] >= wanted:
            inside = (wanted - below) / bins[number]
            return edges[number] + inside * (edges[number + 1] - edges[number])
        below += bins[number]
    return edges[max(bins) + 1]


def equal_parts(bins: Mapping[int, int]) -> list[int]:
    """Probabilities in ``SHOWN`` equal parts of [0, 1], whose edges are edges of bins too."""
    parts = [0] * SHOWN
    for number, count in bins.items():
        middle = (PROBABILITIES[number] + PROBABILITIES[number + 1]) / 2
        parts[int(middle * SHOWN)] += count
    return parts
