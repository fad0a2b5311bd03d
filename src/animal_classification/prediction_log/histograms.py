"""Histograms with fixed edges, which can be added up: of probabilities, and of seconds.

A bin's number never changes its meaning: the numbers are in databases. Quantiles are interpolated within a bin.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from math import isfinite
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Counts: TypeAlias = NDArray[np.int64]  # of each bin

# Hundredths up to 0.95; from there on every bin halves the distance to 1 in four steps, down to 1 - 0.0001.
PROBABILITIES = (
    *(number / 100 for number in range(96)),
    *(1 - 0.05 * 2 ** (-step / 4) for step in range(1, 36)),
    1.0,
)
# Eight bins for each doubling, from a millisecond to half an hour.
SECONDS = (0.0, *(0.001 * 2 ** (step / 8) for step in range(8 * 21)))
SHOWN = 20  # equal parts of [0, 1]
_STORED = np.dtype("<u4")


def empty(edges: Sequence[float]) -> Counts:
    """Of nothing yet."""
    return np.zeros(len(edges) - 1, np.int64)


def bin_of(value: float, edges: Sequence[float]) -> int:
    """The number of the bin that holds a value; what is beyond the edges is in the outermost ones."""
    if not isfinite(value):
        return 0
    return min(max(bisect_right(edges, value) - 1, 0), len(edges) - 2)


def quantile(counts: Counts, edges: Sequence[float], share: float) -> float | None:
    """The value below which a share of the values lies; ``None`` where there are none.

    It is in the bin of the value of that rank, so it is wrong by a bin's width at most: 9 % of a number of seconds,
    0.01 of a probability below 0.95 and a fifth of its distance to 1 above.
    """
    passed = np.cumsum(counts)
    if passed[-1] <= 0:
        return None
    wanted = max(share * float(passed[-1]), 1e-9)
    number = int(np.searchsorted(passed, wanted))
    inside = (wanted - float(passed[number] - counts[number])) / float(counts[number])
    return edges[number] + inside * (edges[number + 1] - edges[number])


def equal_parts(counts: Counts) -> list[int]:
    """Probabilities in ``SHOWN`` equal parts of [0, 1], whose edges are edges of bins too."""
    edges = np.array(PROBABILITIES)
    parts = ((edges[:-1] + edges[1:]) / 2 * SHOWN).astype(np.int64)
    found = np.zeros(SHOWN, np.int64)
    np.add.at(found, parts, counts)
    return [int(number) for number in found]


def to_bytes(counts: Counts) -> bytes:
    """As a database keeps it: unsigned 32-bit integers, little-endian, one for each bin."""
    return np.maximum(counts, 0).astype(_STORED).tobytes()


def from_bytes(data: bytes) -> Counts:
    """What :func:`to_bytes` wrote."""
    return np.frombuffer(data, _STORED).astype(np.int64)
