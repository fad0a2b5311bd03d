"""Significance tests: two models on the same photos, and slices of the photos. NumPy only."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from animal_classification.evaluation.confidence_intervals import effective_share

# A claim is wrong once in twenty reports at most.
ALPHA = 0.05
_NEARLY = 1e-9


def sign_flip_p_value(first: NDArray[np.bool_], second: NDArray[np.bool_], units: NDArray[np.integer]) -> float:
    """Two-sided p-value of the exact paired permutation test over units.

    Were two models equally good, each unit's difference might as well have the other sign. All ways of turning signs
    are counted. With one photo in each unit this is McNemar's exact test; copies of one picture, or frames of one
    sequence, turn together and count as one observation.

    Args:
        first: Which photos the first model has right, ``[N]``.
        second: Which the second has.
        units: Equal numbers for photos that are no two observations.
    """
    _, code = np.unique(units, return_inverse=True)
    difference = first.astype(np.int64) - second.astype(np.int64)
    sums = np.bincount(code, difference).round().astype(np.int64)
    sizes = np.abs(sums[sums != 0])
    if not len(sizes):
        return 1.0
    chances = np.ones(1)  # of each sum of the units so far, from the lowest to the highest, in steps of two
    for size in sizes.tolist():
        longer = np.zeros(len(chances) + size)
        longer[: len(chances)] += chances / 2
        longer[size:] += chances / 2
        chances = longer
    reached = 2 * np.arange(len(chances)) - int(sizes.sum())
    return float(min(1.0, chances[np.abs(reached) >= abs(int(sums.sum()))].sum()))


def weaker_p_value(right: NDArray[np.bool_], here: NDArray[np.bool_], units: NDArray[np.integer]) -> float:
    """How often chance alone makes a part of the photos as bad as this, beside the others, where it is no worse.

    Fisher's exact test (1935), one-sided. Where photos are no two observations, each side's counts shrink to effective
    ones first, mistakes rounded down: that errs towards saying nothing.

    Args:
        right: Which photos are right, ``[N]``.
        here: Which belong to the part.
        units: Equal numbers for photos that are no two observations.
    """
    counts = []
    for side in (here, ~here):
        if not side.any():
            return 1.0
        shrunk = effective_share(right[side], units[side])
        wrong = math.floor(shrunk * int((~right[side]).sum()) + _NEARLY)
        counts.append((wrong, max(math.floor(shrunk * int(side.sum()) + _NEARLY), wrong, 1)))
    (wrong, size), (others_wrong, others) = counts
    return _hypergeometric_tail(wrong, size, wrong + others_wrong, size + others)


def holm(p_values: Sequence[float], alpha: float = ALPHA) -> list[bool]:
    """Which of several claims may be made so that, all together, one is wrong with probability ``alpha`` at most.

    Holm 1979: the smallest is held against ``alpha`` divided by their number, the next by one less, and so on until
    one fails.
    """
    kept = [False] * len(p_values)
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        if p_values[place] > alpha / (len(p_values) - rank):
            break
        kept[place] = True
    return kept


def _hypergeometric_tail(found: int, drawn: int, marked: int, total: int) -> float:
    """Probability that at least ``found`` of ``drawn`` are marked, where ``marked`` of ``total`` are."""

    def ways(of: int, some: int) -> float:
        return math.lgamma(of + 1) - math.lgamma(some + 1) - math.lgamma(of - some + 1)

    most = min(drawn, marked)
    least = max(found, drawn + marked - total)
    logs = (
        ways(marked, one) + ways(total - marked, drawn - one) - ways(total, drawn) for one in range(least, most + 1)
    )
    return min(1.0, math.fsum(math.exp(one) for one in logs))
