"""The scorecard: a few numbers that say how good a model is on labelled photos. NumPy only.

Training and exports write these numbers into a bundle and its card; an evaluation has them among others. All of them
are computed here, so that they are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from animal_classification.evaluation.calibration import log_loss
from animal_classification.evaluation.confidence_intervals import class_weights, share_interval
from animal_classification.evaluation.result import Interval
from animal_classification.inference.postprocess import answered_right

if TYPE_CHECKING:
    from animal_classification.bundle import BundleInfo
    from animal_classification.evaluation.result import Evaluation
    from animal_classification.inference.postprocess import Postprocessor

_TOP = 5


@dataclass(frozen=True, kw_only=True)
class Scorecard:
    """How good a model is on photos that were kept apart, in a few numbers.

    Attributes:
        photos: How many there were.
        units: How many of them are independent of each other, as far as known.
        seen: How many of them, or copies of them, the model has seen in training.
        accuracy: Share of photos with the right label.
        answered_right: Share of photos of which a person is told what they show.
        balanced_accuracy: Mean of the classes' recalls.
        called_unknown: Share of photos that are called unknown.
        top5: Share of photos whose truth is among the five most probable labels.
        loss: Mean negative logarithm of the truth's probability.
        recalls: By the name of the class, for those that have photos.
    """

    photos: int
    units: int
    seen: int
    accuracy: Interval
    answered_right: Interval
    balanced_accuracy: Interval
    called_unknown: float
    top5: float
    loss: float
    recalls: Mapping[str, float]

    @classmethod
    def of(cls, result: Evaluation) -> Scorecard:
        """Those of an evaluation."""
        overall, unknown = result.overall, result.unknown
        return cls(
            photos=result.data.scored,
            units=result.data.units,
            seen=result.data.seen,
            accuracy=overall.accuracy,
            answered_right=overall.answered_right,
            balanced_accuracy=overall.balanced_accuracy,
            called_unknown=(unknown.refused_known if unknown else None) or 0.0,
            top5=overall.top.get(_TOP, 1.0),
            loss=result.calibration.after.log_loss,
            recalls={one.name: one.recall for one in result.classes if one.n},
        )

    def summary(self) -> dict[str, float]:
        """Under the names of ``bundle.json``."""
        return {
            "accuracy": self.accuracy.value,
            "answered_right": self.answered_right.value,
            "top5": self.top5,
            "balanced_accuracy": self.balanced_accuracy.value,
            "called_unknown": self.called_unknown,
            "loss": self.loss,
        }


@dataclass(frozen=True)
class LabelledAnswers:
    """What a model says of labelled photos; arrays are ``[N]``.

    Attributes:
        targets: Positions of the true labels.
        probabilities: float64 ``[N, C + B]``, calibrated, of labels and then of background classes.
        labels: Names of the labels, C of them.
        answered: Of which photos a person is told what they show.
        refused: Which are called unknown.
        covered: Whose prediction set holds the truth; ``None`` where the model gives no sets.
    """

    targets: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    labels: Sequence[str]
    answered: NDArray[np.bool_]
    refused: NDArray[np.bool_]
    covered: NDArray[np.bool_] | None

    @classmethod
    def of(
        cls,
        info: BundleInfo,
        decider: Postprocessor,
        outputs: tuple[NDArray[np.float32], NDArray[np.float32]],
        targets: NDArray[np.integer],
    ) -> LabelledAnswers:
        """Decide as predictions do.

        Args:
            info: The bundle's.
            decider: Its rules.
            outputs: Logits ``[N, C + B]`` and embeddings ``[N, D]``.
            targets: Positions of the true labels.
        """
        logits, embedding = outputs
        truths = [info.labels[target] for target in np.asarray(targets).tolist()]
        said = decider.decide(logits, top_k=1, embeddings=embedding, attach=False) if truths else []
        pairs = list(zip(said, truths, strict=True))
        return cls(
            targets=np.asarray(targets, dtype=np.int64),
            probabilities=decider.probabilities(logits),
            labels=[label.name for label in info.labels],
            answered=np.array([answered_right(one, truth) for one, truth in pairs], dtype=np.bool_),
            refused=np.array([one.unknown for one in said], dtype=np.bool_),
            covered=None
            if info.conformal is None
            else np.array([truth.name in one.set for one, truth in pairs], dtype=np.bool_),
        )

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def best(self) -> NDArray[np.int64]:
        """Positions of the most probable labels."""
        result: NDArray[np.int64] = self._of_labels.argmax(axis=1)
        return result

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which most probable labels are the right ones."""
        result: NDArray[np.bool_] = self.best == self.targets
        return result

    @property
    def _of_labels(self) -> NDArray[np.float64]:
        return self.probabilities[:, : len(self.labels)]

    def confusion(self) -> NDArray[np.int64]:
        """``[C, C]``: true labels down, answers across."""
        table = np.zeros((len(self.labels), len(self.labels)), dtype=np.int64)
        np.add.at(table, (self.targets, self.best), 1)
        return table

    def scorecard(self, units: NDArray[np.integer], seen: int) -> Scorecard | None:
        """The numbers; ``None`` without a photo.

        Args:
            units: Equal numbers for photos that are no two observations.
            seen: How many of the photos, or copies of them, training has used.
        """
        if not len(self):
            return None
        right, counts = self.right, np.bincount(self.targets, minlength=len(self.labels))
        hits = np.bincount(self.targets, right, minlength=len(self.labels))
        return Scorecard(
            photos=len(self),
            units=len(np.unique(units)),
            seen=seen,
            accuracy=share_interval(right, units),
            answered_right=share_interval(self.answered, units),
            balanced_accuracy=share_interval(right, units, class_weights(self.targets)),
            called_unknown=float(self.refused.mean()),
            top5=top_k(self.targets, self._of_labels, _TOP),
            loss=log_loss(self.probabilities, self.targets),
            recalls={name: float(hits[n] / counts[n]) for n, name in enumerate(self.labels) if counts[n]},
        )


def top_k(targets: NDArray[np.integer], probabilities: NDArray[np.float64], k: int) -> float:
    """Share of photos whose truth is among the ``k`` most probable labels; of equal ones, the first count."""
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return float((order == targets[:, None]).any(axis=1).mean())
