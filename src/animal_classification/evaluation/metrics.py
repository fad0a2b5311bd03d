"""The usual numbers of a classifier, by scikit-learn (extra ``evaluate``)."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from animal_classification.errors import MissingExtraError
from animal_classification.evaluation.confidence_intervals import class_weights, share_interval
from animal_classification.evaluation.confusion_order import confused_together
from animal_classification.evaluation.result import Averages, ClassResult, ConfusionMatrix, Overall
from animal_classification.evaluation.scorecard import top_k

if TYPE_CHECKING:
    from animal_classification.bundle import Label

TOP = (1, 3, 5)
_PAIRS = 10
_EXTRA = "evaluate"


def require() -> None:
    """Refuse to go on without scikit-learn.

    Raises:
        MissingExtraError: It is not installed.
    """
    if find_spec("sklearn") is None:
        raise MissingExtraError("animals evaluate", _EXTRA)


def confusion_matrix(targets: NDArray[np.integer], answers: NDArray[np.integer], classes: int) -> NDArray[np.int64]:
    """``[true, answered]``, photos."""
    from sklearn.metrics import confusion_matrix as compute

    result: NDArray[np.int64] = compute(targets, answers, labels=np.arange(classes)).astype(np.int64)
    return result


def per_class(
    targets: NDArray[np.integer],
    probabilities: NDArray[np.float64],
    labels: Sequence[Label],
    units: NDArray[np.integer],
) -> list[ClassResult]:
    """Every class of the model, in its order; what has nothing to count is 0, as is usual."""
    from sklearn.metrics import average_precision_score, precision_recall_fscore_support

    classes = len(labels)
    answers = probabilities.argmax(axis=1)
    precision, recall, f1, support = precision_recall_fscore_support(
        targets, answers, labels=np.arange(classes), zero_division=0.0
    )
    table = confusion_matrix(targets, answers, classes)
    answered, wrong = table.sum(axis=0), table * (1 - np.eye(classes, dtype=np.int64))
    found = []
    for number, label in enumerate(labels):
        own = targets == number
        ap = float(average_precision_score(own, probabilities[:, number])) if own.any() else 0.0
        often = int(wrong[number].argmax())
        mistaken = int(wrong[number, often])
        found.append(
            ClassResult(
                id=label.id,
                name=label.name,
                n=int(support[number]),
                answered=int(answered[number]),
                precision=float(precision[number]),
                recall=float(recall[number]),
                f1=float(f1[number]),
                ap=ap,
                recall_interval=share_interval(answers[own] == number, units[own]) if own.any() else None,
                taken_for=labels[often].name if mistaken else None,
                mistaken=mistaken,
            )
        )
    return found


def overall(
    targets: NDArray[np.integer],
    probabilities: NDArray[np.float64],
    answered: NDArray[np.bool_],
    classes: Sequence[ClassResult],
    units: NDArray[np.integer],
) -> Overall:
    """The whole, with intervals.

    Args:
        targets: ``[N]``.
        probabilities: ``[N, C]``.
        answered: Of which photos a person is told what they show, ``[N]``.
        classes: What ``per_class`` says.
        units: ``[N]``, equal numbers for photos that are no two observations.
    """
    right = probabilities.argmax(axis=1) == targets
    return Overall(
        accuracy=share_interval(right, units),
        answered_right=share_interval(answered, units),
        balanced_accuracy=share_interval(right, units, class_weights(targets)),
        top={k: top_k(targets, probabilities, k) for k in TOP if k < probabilities.shape[1]},
        macro=_averages(classes, [1.0 if one.n else 0.0 for one in classes]),
        weighted=_averages(classes, [float(one.n) for one in classes]),
    )


def confusion(targets: NDArray[np.integer], answers: NDArray[np.integer], labels: Sequence[Label]) -> ConfusionMatrix:
    """The table of mistakes, of the classes that occur in it."""
    table = confusion_matrix(targets, answers, len(labels))
    there = np.flatnonzero(table.sum(axis=0) + table.sum(axis=1))
    small = table[np.ix_(there, there)]
    order = confused_together(small)
    names = [labels[there[index]].name for index in order]
    ordered = small[np.ix_(order, order)]
    pairs = [
        (names[row], names[column], int(ordered[row, column]))
        for row, column in zip(*np.nonzero(ordered), strict=True)
        if row != column
    ]
    pairs.sort(key=lambda pair: (-pair[2], pair[0], pair[1]))
    return ConfusionMatrix(labels=names, matrix=ordered.tolist(), pairs=pairs[:_PAIRS])


def _averages(classes: Sequence[ClassResult], weights: Sequence[float]) -> Averages:
    values: dict[str, Any] = {
        name: float(np.average([getattr(one, name) for one in classes], weights=weights))
        for name in ("precision", "recall", "f1", "ap")
    }
    return Averages(**values)
