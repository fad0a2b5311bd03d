"""Two models on the same photos."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from animal_classification.evaluation.confidence_intervals import difference_interval
from animal_classification.evaluation.result import Interval, ModelComparison, ModelFacts, Paired
from animal_classification.evaluation.significance_tests import ALPHA, sign_flip_p_value

Right = tuple[NDArray[np.bool_], NDArray[np.bool_]]
"""Of one model: which photos have the right label, and of which a person is told what they show; ``[N]`` both."""


def compare(this: Right, that: Right, units: NDArray[np.integer], other: ModelFacts) -> ModelComparison:
    """Which is better, and whether chance explains it.

    Args:
        this: What this model has right.
        that: What the other has.
        units: Equal numbers for photos that are no two observations.
        other: Which model that is.
    """
    labels, told = (paired(mine, others, units) for mine, others in zip(this, that, strict=True))
    return ModelComparison(
        other=other,
        n=len(units),
        units=len(np.unique(units)),
        accuracy=labels.this,
        other_accuracy=labels.that,
        difference=labels.difference,
        only_this=labels.only_this,
        only_other=labels.only_that,
        p_value=labels.p_value,
        answered_right=told,
    )


def paired(first: NDArray[np.bool_], second: NDArray[np.bool_], units: NDArray[np.integer]) -> Paired:
    """Two shares of the same photos, ``[N]`` each."""
    return Paired(
        this=float(first.mean()),
        that=float(second.mean()),
        difference=difference_interval(first, second, units),
        only_this=int((first & ~second).sum()),
        only_that=int((second & ~first).sum()),
        p_value=sign_flip_p_value(first, second, units),
    )


def finding(difference: Interval, p_value: float, other: str) -> str:
    """Which is better, if either is, in a few words.

    Interval and test see the same photos in two ways; where they do not agree, nothing is certain.
    """
    apart, unlikely = not difference.low <= 0 <= difference.high, p_value < ALPHA
    if not apart and not unlikely:
        return "no difference that chance does not explain"
    words = f"{'better' if difference.value > 0 else 'worse'} than {other}"
    return words if apart and unlikely else f"perhaps {words}"


def verdict(comparison: ModelComparison) -> tuple[str, str]:
    """The same with its numbers, a sentence for the labels and one for what people are told."""
    told = comparison.answered_right
    return (
        f"labels: {_sentence(comparison.difference, comparison.p_value, comparison.other.name)}",
        f"told right: {_sentence(told.difference, told.p_value, comparison.other.name)}",
    )


def _sentence(difference: Interval, p_value: float, other: str) -> str:
    points = f"{100 * difference.value:+.1f} points ({100 * difference.low:+.1f} to {100 * difference.high:+.1f})"
    return f"{finding(difference, p_value, other)}: {points}, p = {p_value:.2g}"
