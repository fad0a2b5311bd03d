"""How accurate a model may be on photos that nobody has labelled: a range over three methods.

``doc`` is the difference of confidences (Guillory et al. 2021), ``atc`` the averaged thresholded confidence (Garg et
al. 2022). ``learned`` is a ridge regression on how a sample differs from the reference, fitted on artificial changes of
photos with labels; its coefficients are in ``bundle.json`` under ``metrics.monitor``. No method is right for every
change, which is why a range is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from animal_classification.monitoring.drift.reference import NO_LABEL, DriftReference
from animal_classification.monitoring.drift.sample import PhotoSample
from animal_classification.monitoring.drift.verdict import EstimatedAccuracy

FEATURES: tuple[str, ...] = (
    "confidence",
    "log_confidence",
    "neighbour_median",
    "neighbour_tail",
    "known_tail",
    "disagreement",
)
_TAIL = 0.95
_SPREAD = 1.64  # deviations: 90%
_LEAST = 1e-6
# Strangers among a window, from the share of photos below the reference's 5% quantile: nearly every stranger is there,
# and three of four of all photos at most.
_STRANGERS_FROM, _STRANGERS_SPAN = 0.05, 0.70


@dataclass(frozen=True)
class LearnedWeights:
    """A linear model of the change of accuracy.

    Attributes:
        weights: One for each of :data:`FEATURES`; the change of accuracy is their product with the differences.
        intercept: The change where nothing differs.
    """

    weights: tuple[float, ...]
    intercept: float = 0.0

    @classmethod
    def of(cls, metrics: Mapping[str, Any]) -> LearnedWeights | None:
        """The one in a bundle's metrics; ``None`` where there is none, or one of another kind."""
        found = metrics.get("monitor")
        if not isinstance(found, Mapping):
            return None
        try:
            return cls(tuple(float(found[name]) for name in FEATURES), float(found.get("intercept", 0.0)))
        except (KeyError, TypeError, ValueError):
            return None

    def to_metrics(self) -> dict[str, float]:
        """As ``metrics.monitor`` of a bundle."""
        named = dict(zip(FEATURES, self.weights, strict=True))
        return {name: round(value, 6) for name, value in {**named, "intercept": self.intercept}.items()}

    @classmethod
    def fit(cls, differences: NDArray[np.float64], changes: NDArray[np.float64], strength: float) -> LearnedWeights:
        """Ridge regression, without a penalty on the intercept.

        Args:
            differences: ``[N, 6]``, of :meth:`AccuracyModel.differences`.
            changes: ``[N]``, the true change of accuracy.
            strength: Of the penalty, relative to N, on features of deviation one.
        """
        scale = np.maximum(differences.std(axis=0), _LEAST)
        centre, mean = differences.mean(axis=0), changes.mean()
        design = (differences - centre) / scale
        gram = design.T @ design + strength * len(design) * np.eye(design.shape[1])
        weights = np.linalg.solve(gram, design.T @ (changes - mean)) / scale
        return cls(tuple(weights.tolist()), float(mean - weights @ centre))


class AccuracyModel:
    """Estimates for samples of photos, from a reference with labels."""

    def __init__(self, reference: DriftReference, learned: LearnedWeights | None = None) -> None:
        labelled = np.flatnonzero(reference.label != NO_LABEL)
        self._reference = reference.sample.take(labelled)
        self._label = reference.label[labelled]
        self._threshold = reference.threshold
        self._learned = learned
        self.accuracy = float((self._reference.pred == self._label).mean())

    def estimate(self, sample: PhotoSample, *, strangers: bool = False) -> EstimatedAccuracy:
        """The range for a sample.

        Args:
            sample: Photos without labels.
            strangers: It holds photos of things that the model does not know: the known part is estimated, and all
                answers for the others are wrong.
        """
        share = 0.0
        if strangers:
            below = sample.known < self._threshold
            share = float(np.clip((below.mean() - _STRANGERS_FROM) / _STRANGERS_SPAN, 0.0, 1.0))
            sample = sample.take(~below) if not below.all() else sample
        points = {name: value * (1.0 - share) for name, value in self._points(sample).items()}
        low, high = min(points.values()), max(points.values())
        count = max(1, len(sample))
        return EstimatedAccuracy(
            reference=self.accuracy,
            low=max(0.0, low - _SPREAD * _deviation(low, count)),
            high=min(1.0, high + _SPREAD * _deviation(high, count)),
            points=points,
        )

    def differences(self, sample: PhotoSample) -> NDArray[np.float64]:
        """How a sample differs from the reference, ``[6]``, in the order of :data:`FEATURES`."""
        result: NDArray[np.float64] = self._features(sample, self._nearest(sample)) - self._of_reference
        return result

    def _points(self, sample: PhotoSample) -> dict[str, float]:
        confidence, reference = sample.probability, self._reference.probability
        doc = self.accuracy - float(reference.mean() - confidence.mean())
        atc = self.accuracy - float((reference >= self._sure_from).mean() - (confidence >= self._sure_from).mean())
        points = {"doc": doc, "atc": atc}
        if self._learned is not None:
            change = float(self.differences(sample) @ np.array(self._learned.weights)) + self._learned.intercept
            points["learned"] = self.accuracy + change
        return {name: min(1.0, max(0.0, value)) for name, value in points.items()}

    @cached_property
    def _sure_from(self) -> float:
        """As many of the reference's photos are below it as are wrong."""
        return float(np.quantile(self._reference.probability, 1.0 - self.accuracy))

    @cached_property
    def _of_reference(self) -> NDArray[np.float64]:
        cosines = self._reference.embedding @ self._reference.embedding.T
        np.fill_diagonal(cosines, -1.0)
        return self._features(self._reference, cosines.max(axis=1))

    @cached_property
    def _far(self) -> float:
        cosines = self._reference.embedding @ self._reference.embedding.T
        np.fill_diagonal(cosines, -1.0)
        return float(np.quantile(1.0 - cosines.max(axis=1), _TAIL))

    @cached_property
    def _means(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        classes = np.unique(self._label)
        return classes, np.stack([self._reference.embedding[self._label == one].mean(axis=0) for one in classes])

    def _nearest(self, sample: PhotoSample) -> NDArray[np.float32]:
        """Cosine with the most similar photo of the reference, ``[N]``."""
        nearest: NDArray[np.float32] = (sample.embedding @ self._reference.embedding.T).max(axis=1)
        return nearest

    def _features(self, sample: PhotoSample, nearest: NDArray[np.float32]) -> NDArray[np.float64]:
        classes, means = self._means
        closest = classes[(sample.embedding @ means.T).argmax(axis=1)]
        distance = 1.0 - nearest
        return np.array(
            [
                sample.probability.mean(),
                np.log(np.maximum(sample.probability, _LEAST)).mean(),
                np.median(distance),
                (distance > self._far).mean(),
                (sample.known < self._threshold).mean(),
                (closest != sample.pred).mean(),
            ]
        )


def _deviation(share: float, count: int) -> float:
    return float(np.sqrt(share * (1.0 - share) / count))


def fit_learned(
    model: AccuracyModel, samples: Sequence[PhotoSample], accuracies: Sequence[float], strength: float = 0.01
) -> LearnedWeights:
    """Fit the learned estimate on samples whose accuracy is known.

    Args:
        model: Of the reference.
        samples: Changed photos.
        accuracies: The true accuracy on each.
        strength: See :meth:`LearnedWeights.fit`.
    """
    differences = np.stack([model.differences(sample) for sample in samples])
    return LearnedWeights.fit(differences, np.array(accuracies) - model.accuracy, strength)
