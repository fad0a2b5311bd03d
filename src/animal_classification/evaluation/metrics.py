"""All measures of a classifier: per class and overall, confusion, calibration, prediction sets, unknown photos.

Precision, recall, F1 and average precision come from scikit-learn (extra ``evaluate``).
"""

# Imported where they are used: scikit-learn is an extra.

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from animal_classification.errors import MissingExtraError
from animal_classification.evaluation import calibration, conformal
from animal_classification.evaluation.confidence_intervals import class_weights, share_interval
from animal_classification.evaluation.ood import auroc, false_positive_rate
from animal_classification.evaluation.result import (
    Averages,
    Bar,
    CalibrationResult,
    ClassResult,
    ConfusionMatrix,
    Overall,
    Reliability,
    SetResult,
    UnknownResult,
    UnknownScore,
)
from animal_classification.evaluation.scorecard import top_k
from animal_classification.inference.ood import energy

if TYPE_CHECKING:
    from animal_classification.bundle import BundleInfo, Label
    from animal_classification.evaluation.predictions import PredictedPhotos

TOP = (1, 3, 5)
_PAIRS = 10
_EXTRA = "evaluate"
_LOTS = 1


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
    """Measures of each class, in the model's order; 0 where there is nothing to count, as is usual."""
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
    """Accuracy and averages of all photos, with intervals.

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
    """The confusion matrix of the classes that occur."""
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


def confused_together(matrix: NDArray[np.integer]) -> list[int]:
    """Seriate a confusion matrix.

    Classes are joined by average linkage, the most confused first; whenever two chains join, they are turned so that
    their most confused ends meet. Classes that are never confused keep their order.

    Args:
        matrix: ``[C, C]``, photos by true and answered class.

    Returns:
        Positions in the new order.
    """
    counts = matrix.astype(np.float64)
    totals = np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    similarity = counts / totals
    similarity = (similarity + similarity.T) / 2
    np.fill_diagonal(similarity, 0.0)
    chains = [[index] for index in range(len(counts))]
    link = similarity.copy()
    while len(chains) > 1 and link.max() > 0:
        first, second = sorted(int(index) for index in np.unravel_index(link.argmax(), link.shape))
        sizes = len(chains[first]), len(chains[second])
        mean = (sizes[0] * link[first] + sizes[1] * link[second]) / sum(sizes)
        link[first], link[:, first] = mean, mean
        link[first, first] = 0.0
        link = np.delete(np.delete(link, second, axis=0), second, axis=1)
        chains[first] = _joined(chains[first], chains.pop(second), similarity)
    return [index for chain in chains for index in chain]


def _joined(first: list[int], second: list[int], similarity: NDArray[np.float64]) -> list[int]:
    ways = [(a, b) for a in (first, first[::-1]) for b in (second, second[::-1])]
    best = max(range(len(ways)), key=lambda way: (similarity[ways[way][0][-1], ways[way][1][0]], -way))
    return ways[best][0] + ways[best][1]


def calibration_result(predicted: PredictedPhotos, info: BundleInfo) -> CalibrationResult:
    """Calibration before and after the bundle's temperature."""
    before, after = (
        reliability_at(predicted.logits, predicted.targets, temperature, labels=len(info.labels))
        for temperature in (1.0, info.calibration.temperature)
    )
    return CalibrationResult(before=before, after=after)


def reliability_at(
    logits: NDArray[np.floating], targets: NDArray[np.integer], temperature: float, *, labels: int
) -> Reliability:
    """How well probabilities at one temperature mean what they say.

    Args:
        logits: ``[N, C + B]``, of labels and then of background classes, which are no answer and take their share of
            the probability.
        targets: ``[N]``.
        temperature: Logits are divided by it.
        labels: How many they are, C.
    """
    probabilities = calibration.calibrated(logits, temperature)
    right = probabilities[:, :labels].argmax(axis=1) == targets
    confidence = probabilities[:, :labels].max(axis=1)
    full = calibration.reliability(confidence, right)
    wide = calibration.reliability(confidence, right, equal_mass=False)
    return Reliability(
        temperature=temperature,
        ece=calibration.calibration_error(full),
        ece_by_chance=calibration.error_by_chance(confidence),
        ece_equal_width=calibration.calibration_error(wide),
        ece_equal_width_by_chance=calibration.error_by_chance(confidence, equal_mass=False),
        brier=calibration.brier_score(probabilities, targets),
        log_loss=calibration.log_loss(probabilities, targets),
        bins=[Bar(**asdict(one)) for one in full],
        bins_equal_width=[Bar(**asdict(one)) for one in wide],
    )


def set_result(
    probabilities: NDArray[np.float64], targets: NDArray[np.integer], info: BundleInfo, units: NDArray[np.integer]
) -> SetResult | None:
    """Coverage and size of the bundle's prediction sets; ``None`` if it has no rule for them."""
    rule = info.conformal
    if rule is None:
        return None
    whole = probabilities / probabilities.sum(axis=1, keepdims=True)
    scores = conformal.truth_scores(whole, targets, rule, conformal.draws(len(targets), _LOTS))
    sizes, covered = conformal.shown_sets(whole, targets, rule)
    by_class = {
        label.name: float(covered[targets == number].mean())
        for number, label in enumerate(info.labels)
        if (targets == number).any()
    }
    return SetResult(
        rule=rule,
        coverage=share_interval(scores <= rule.quantile, units),
        coverage_shown=float(covered.mean()),
        mean_size=float(sizes.mean()),
        sizes=dict(sorted(Counter(sizes.tolist()).items())),
        by_class=by_class,
    )


def unknown_result(predicted: PredictedPhotos, info: BundleInfo) -> UnknownResult | None:
    """How well unknown photos are recognised; ``None`` if the bundle has no rule for them."""
    rule = info.unknown
    if rule is None:
        return None
    known, other = predicted.known_scores, predicted.other_scores
    some = len(other) > 0
    return UnknownResult(
        rule=rule,
        n=len(other),
        refused_known=float(predicted.refused.mean()) if len(known) else None,
        refused_unknown=float(predicted.other_refused.mean()) if some else None,
        auroc=auroc(known, other) if some else None,
        fpr95=false_positive_rate(known, other) if some else None,
        others=_other_scores(predicted, info) if some else [],
    )


def _other_scores(predicted: PredictedPhotos, info: BundleInfo) -> list[UnknownScore]:
    """Two baseline scores that every classifier has."""
    found = []
    temperature, labels = info.calibration.temperature, len(info.labels)
    for name, score in (
        ("max_probability", lambda logits: calibration.calibrated(logits, temperature).max(axis=1)),
        ("energy", lambda logits: energy(logits / temperature)),
    ):
        known, other = score(predicted.logits[:, :labels]), score(predicted.other_logits)
        found.append(UnknownScore(name=name, auroc=auroc(known, other), fpr95=false_positive_rate(known, other)))
    return found
