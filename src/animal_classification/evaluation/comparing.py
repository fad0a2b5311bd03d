"""Two models on the same photos."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from animal_classification.evaluation.resampling import bootstrap, mcnemar, mean_of
from animal_classification.evaluation.result import Comparison, ModelFacts


def compare(
    right: NDArray[np.bool_], other_right: NDArray[np.bool_], units: NDArray[np.integer], other: ModelFacts
) -> Comparison:
    """Which is better, and whether chance explains it.

    Args:
        right: Which photos this model has right, ``[N]``.
        other_right: Which the other has.
        units: Equal numbers for photos that are no two observations.
        other: Which model that is.
    """
    difference = right.astype(np.float64) - other_right.astype(np.float64)
    only_this, only_other = int((right & ~other_right).sum()), int((other_right & ~right).sum())
    return Comparison(
        other=other,
        n=len(right),
        accuracy=float(right.mean()),
        other_accuracy=float(other_right.mean()),
        difference=bootstrap(mean_of(difference), units),
        only_this=only_this,
        only_other=only_other,
        p_value=mcnemar(only_this, only_other),
    )


def finding(comparison: Comparison) -> str:
    """Which is better, if either is, in a few words."""
    difference = comparison.difference
    if difference.low <= 0 <= difference.high:
        return "no difference that chance does not explain"
    return f"{'better' if difference.value > 0 else 'worse'} than {comparison.other.name}"


def verdict(comparison: Comparison) -> str:
    """The same with its numbers, in a sentence."""
    difference = comparison.difference
    points = f"{100 * difference.value:+.1f} points ({100 * difference.low:+.1f} to {100 * difference.high:+.1f})"
    return f"{finding(comparison)}: {points}, p = {comparison.p_value:.2g}"
