"""Calibration, prediction sets and unknown-rejection, as the evaluation reports them."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from animal_classification.evaluation import calibration, conformal
from animal_classification.evaluation.confidence_intervals import share_interval
from animal_classification.evaluation.ood import auroc, false_positive_rate
from animal_classification.evaluation.result import (
    Bar,
    CalibrationResult,
    Reliability,
    SetResult,
    UnknownResult,
    UnknownScore,
)
from animal_classification.inference.ood import energy

if TYPE_CHECKING:
    from animal_classification.bundle import BundleInfo
    from animal_classification.evaluation.predictions import PredictedPhotos

_LOTS = 1


def calibration_result(judged: PredictedPhotos, info: BundleInfo) -> CalibrationResult:
    """Before and after the bundle's temperature, of the probabilities that predictions carry."""
    before, after = (
        reliability_at(judged.logits, judged.targets, temperature, labels=len(info.labels))
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
    """Coverage and size of the bundle's prediction sets; ``None`` where it has no rule for them."""
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


def unknown_result(judged: PredictedPhotos, info: BundleInfo) -> UnknownResult | None:
    """How well photos of none of the classes are told; ``None`` where the bundle has no rule for them."""
    rule = info.unknown
    if rule is None:
        return None
    known, other = judged.known_scores, judged.other_scores
    some = len(other) > 0
    return UnknownResult(
        rule=rule,
        n=len(other),
        refused_known=float(judged.refused.mean()) if len(known) else None,
        refused_unknown=float(judged.other_refused.mean()) if some else None,
        auroc=auroc(known, other) if some else None,
        fpr95=false_positive_rate(known, other) if some else None,
        others=_other_scores(judged, info) if some else [],
    )


def _other_scores(judged: PredictedPhotos, info: BundleInfo) -> list[UnknownScore]:
    """The two that every classifier offers."""
    found = []
    temperature, labels = info.calibration.temperature, len(info.labels)
    for name, score in (
        ("max_probability", lambda logits: calibration.calibrated(logits, temperature).max(axis=1)),
        ("energy", lambda logits: energy(logits / temperature)),
    ):
        known, other = score(judged.logits[:, :labels]), score(judged.other_logits)
        found.append(UnknownScore(name=name, auroc=auroc(known, other), fpr95=false_positive_rate(known, other)))
    return found
