"""How accurate a model may be on photos that nobody has labelled: a range over three methods.

``doc`` is the difference of confidences (Guillory et al. 2021), ``atc`` the averaged thresholded confidence (Garg et
al. 2022). ``learned`` is a ridge regression on how a sample differs from the reference, fitted on artificial changes of
photos with labels; a bundle may bring coefficients of its own under ``metrics.monitor``. No method is right for every
change, which is why a range is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from animal_classification.monitoring.drift.reference import NO_LABEL, STRANGERS, DriftReference
from animal_classification.monitoring.drift.sample import PhotoSample
from animal_classification.monitoring.drift.verdict import EstimatedAccuracy

# Whether a window holds photos of things that the model does not know.
StrangersThere = Literal["no", "possible", "certain"]
FEATURES: tuple[str, ...] = (
    "confidence",
    "log_confidence",
    "neighbour_ratio",
    "neighbour_tail",
    "known_tail",
    "disagreement",
)
_RIDGE = 0.3
_TAIL = 0.95
_SPREAD = 1.64  # deviations: 90%
_LEAST = 1e-6
_FEWEST_OF_CLASS = 5
# Below the reference's 5% quantile are so many of the strangers: the least that new animals may have, what is usual,
# and all, as of things that are no animals.
_STRANGERS_BELOW = (0.50, 0.70, 1.0)


@dataclass(frozen=True)
class LearnedWeights:
    """A linear model of the change of accuracy, without an intercept: where nothing differs, nothing changes.

    Attributes:
        weights: One for each of :data:`FEATURES`; the change of accuracy is their product with the differences.
    """

    weights: tuple[float, ...]

    @classmethod
    def of(cls, metrics: Mapping[str, Any]) -> LearnedWeights | None:
        """The one in a bundle's metrics; ``None`` where there is none, or one of another kind."""
        found = metrics.get("monitor")
        if not isinstance(found, Mapping):
            return None
        try:
            return cls(tuple(float(found[name]) for name in FEATURES))
        except (KeyError, TypeError, ValueError):
            return None

    def to_metrics(self) -> dict[str, float]:
        """As ``metrics.monitor`` of a bundle."""
        return {name: round(value, 6) for name, value in zip(FEATURES, self.weights, strict=True)}

    @classmethod
    def fit(cls, differences: NDArray[np.float64], changes: NDArray[np.float64]) -> LearnedWeights:
        """Ridge regression through the origin.

        Args:
            differences: ``[N, 6]``, of :meth:`AccuracyModel.differences`.
            changes: ``[N]``, the true change of accuracy.
        """
        scale = np.maximum(np.sqrt((differences**2).mean(axis=0)), _LEAST)
        design = differences / scale
        gram = design.T @ design + _RIDGE * len(design) * np.eye(design.shape[1])
        return cls(tuple((np.linalg.solve(gram, design.T @ changes) / scale).tolist()))


# Fitted on heads on Lite0, each for 19 of 22 animals, under fifteen changes (docs/drift.md). On heads and changes that
# they were not fitted to they err as little as weights of a head's own, which cost fifteen looks at every photo.
USUAL_WEIGHTS = LearnedWeights((0.292, 0.185, 0.011, -0.102, -0.155, -0.280))


class AccuracyModel:
    """Estimates for samples of photos, from a reference with labels."""

    def __init__(self, reference: DriftReference, learned: LearnedWeights = USUAL_WEIGHTS) -> None:
        labelled = np.flatnonzero(reference.label != NO_LABEL)
        self._reference = reference.sample.take(labelled)
        self._label = reference.label[labelled]
        self._threshold = reference.threshold
        self._learned = learned
        self.accuracy = float((self._reference.pred == self._label).mean())

    def estimate(self, sample: PhotoSample, *, strangers: StrangersThere = "no") -> EstimatedAccuracy:
        """The range for a sample.

        Args:
            sample: Photos without labels.
            strangers: Whether it holds photos of things that the model does not know. Where it certainly does, the
                known part is estimated, and all answers for the others are wrong. Where it possibly does, the range
                holds both: that they are there, and that they are not.
        """
        if strangers == "certain":
            return self._with_strangers(sample)
        points = self._points(sample)
        lowest, highest = min(points.values()), max(points.values())
        plain = self._range(
            points,
            (lowest, self._deviation(lowest, len(sample))),
            (highest, self._deviation(highest, len(sample))),
        )
        if strangers == "no":
            return plain
        less = self._with_strangers(sample)
        return replace(plain, low=min(plain.low, less.low), high=max(plain.high, less.high))

    def _with_strangers(self, sample: PhotoSample) -> EstimatedAccuracy:
        """The range where some are strangers: how many is not known, and counts in the spread."""
        below = sample.known < self._threshold
        share, count = float(below.mean()), len(sample)
        of_known = self._points(sample if below.all() else sample.take(~below))
        chance = share * (1.0 - share) / count + STRANGERS * (1.0 - STRANGERS) / len(self._label)

        def end(known: float, seen: float) -> tuple[float, float]:
            right = known * (1.0 - min(1.0, max(0.0, share - STRANGERS) / seen))
            return right, float(np.hypot(self._deviation(right, count), known * np.sqrt(chance) / seen))

        least, usual, most = _STRANGERS_BELOW
        return self._range(
            {name: end(value, usual)[0] for name, value in of_known.items()},
            end(min(of_known.values()), least),
            end(max(of_known.values()), most),
        )

    def _range(
        self, points: Mapping[str, float], lowest: tuple[float, float], highest: tuple[float, float]
    ) -> EstimatedAccuracy:
        """From what the methods say, and the lowest and highest value, each with its deviation."""
        return EstimatedAccuracy(
            reference=self.accuracy,
            low=max(0.0, lowest[0] - _SPREAD * lowest[1]),
            high=min(1.0, highest[0] + _SPREAD * highest[1]),
            points=points,
        )

    def _deviation(self, share: float, count: int) -> float:
        """Of a share among so many photos, and of the reference's accuracy, from which it is counted."""
        own = self.accuracy * (1.0 - self.accuracy) / len(self._label)
        return float(np.sqrt(share * (1.0 - share) / max(1, count) + own))

    def differences(self, sample: PhotoSample) -> NDArray[np.float64]:
        """How a sample differs from the reference, ``[6]``, in the order of :data:`FEATURES`."""
        result: NDArray[np.float64] = self._features(sample, self._nearest(sample), own=False) - self._of_reference
        return result

    def _points(self, sample: PhotoSample) -> dict[str, float]:
        confidence, reference = sample.probability, self._reference.probability
        doc = self.accuracy - float(reference.mean() - confidence.mean())
        atc = self.accuracy - float((reference >= self._sure_from).mean() - (confidence >= self._sure_from).mean())
        learned = self.accuracy + float(self.differences(sample) @ np.array(self._learned.weights))
        points = {"doc": doc, "atc": atc, "learned": learned}
        return {name: min(1.0, max(0.0, value)) for name, value in points.items()}

    @cached_property
    def _sure_from(self) -> float:
        """As many of the reference's photos are below it as are wrong."""
        return float(np.quantile(self._reference.probability, 1.0 - self.accuracy))

    @cached_property
    def _of_reference(self) -> NDArray[np.float64]:
        return self._features(self._reference, self._own_nearest, own=True)

    @cached_property
    def _own_nearest(self) -> NDArray[np.float32]:
        """Of each photo of the reference, the cosine with the most similar other one."""
        cosines = self._reference.embedding @ self._reference.embedding.T
        np.fill_diagonal(cosines, -1.0)
        nearest: NDArray[np.float32] = cosines.max(axis=1)
        return nearest

    @cached_property
    def _usual_distances(self) -> tuple[float, float]:
        """Median, and the one that a twentieth of the reference's photos exceed."""
        distances = 1.0 - self._own_nearest
        return max(_LEAST, float(np.median(distances))), float(np.quantile(distances, _TAIL))

    @cached_property
    def _classes(self) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
        """Classes with enough photos for a mean, the sums of their embeddings ``[K, D]``, and how many they are."""
        classes, counts = np.unique(self._label, return_counts=True)
        classes, counts = classes[counts >= _FEWEST_OF_CLASS], counts[counts >= _FEWEST_OF_CLASS]
        sums = np.zeros((len(classes), self._reference.embedding.shape[1]), np.float32)
        for place, one in enumerate(classes):
            sums[place] = self._reference.embedding[self._label == one].sum(axis=0)
        return classes, sums, counts

    def _disagreement(self, sample: PhotoSample, *, own: bool) -> float:
        """Share of photos whose embedding is nearer to the mean of another class than the predicted one.

        Classes with few photos in the reference are left out, and so are photos that are taken for them. A photo of the
        reference itself does not count in the mean of its class.
        """
        classes, sums, counts = self._classes
        judged = np.flatnonzero(np.isin(sample.pred, classes))
        if len(classes) < 2 or not len(judged):
            return 0.0
        embedding, pred = sample.embedding[judged], sample.pred[judged]
        cosines = embedding @ (sums / counts[:, None]).T
        if own:
            rows = np.flatnonzero(np.isin(self._label[judged], classes))
            at = np.searchsorted(classes, self._label[judged][rows])
            without = (sums[at] - embedding[rows]) / (counts[at] - 1)[:, None]
            cosines[rows, at] = (embedding[rows] * without).sum(axis=1)
        return float((classes[cosines.argmax(axis=1)] != pred).mean())

    def _nearest(self, sample: PhotoSample) -> NDArray[np.float32]:
        """Cosine with the most similar photo of the reference, ``[N]``."""
        nearest: NDArray[np.float32] = (sample.embedding @ self._reference.embedding.T).max(axis=1)
        return nearest

    def _features(self, sample: PhotoSample, nearest: NDArray[np.float32], *, own: bool) -> NDArray[np.float64]:
        distance = 1.0 - nearest
        median, far = self._usual_distances
        return np.array(
            [
                sample.probability.mean(),
                np.log(np.maximum(sample.probability, _LEAST)).mean(),
                np.median(distance) / median,
                (distance > far).mean(),
                (sample.known < self._threshold).mean(),
                self._disagreement(sample, own=own),
            ]
        )


def fit_learned(model: AccuracyModel, samples: Sequence[PhotoSample], accuracies: Sequence[float]) -> LearnedWeights:
    """Fit the learned estimate on samples whose accuracy is known.

    Args:
        model: Of the reference.
        samples: Changed photos.
        accuracies: The true accuracy on each.
    """
    differences = np.stack([model.differences(sample) for sample in samples])
    return LearnedWeights.fit(differences, np.array(accuracies) - model.accuracy)
