"""Agreement of a changed model with the original, on photos that need no labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from animal_classification.common.softmax import softmax
from animal_classification.evaluation.calibration import fit_temperature_to


@dataclass(frozen=True)
class Agreement:
    """How far apart two models' answers are.

    Attributes:
        expected_drop: Points of accuracy that the change costs if the original's probabilities are right: the mean of
            what they give its own best label more than the label that is now the best.
        agreement: Share of photos with the same best label.
        divergence: Mean Kullback-Leibler divergence from the original's probabilities, in nats.
    """

    expected_drop: float
    agreement: float
    divergence: float


@dataclass(frozen=True)
class Original:
    """The original's answers for some photos.

    Attributes:
        logits: ``[N, C]``, labels first, then background classes.
        labels: How many of them are labels.
        temperature: Of the original.
    """

    logits: NDArray[np.float32]
    labels: int
    temperature: float

    def agreement_of(self, logits: NDArray[np.float32], *, temperature: float | None = None) -> Agreement:
        """Compare another model's logits for the same photos."""
        wanted = softmax(self.logits / self.temperature)
        given = softmax(logits / (temperature or self.temperature))
        best, now = (values[:, : self.labels].argmax(axis=1) for values in (self.logits, logits))
        photo = np.arange(len(logits))
        return Agreement(
            expected_drop=100 * float((wanted[photo, best] - wanted[photo, now]).mean()),
            agreement=float((best == now).mean()),
            divergence=_divergence(wanted, given),
        )

    def temperature_for(self, logits: NDArray[np.float32]) -> float:
        """The temperature at which another model's probabilities are nearest to the original's calibrated ones."""
        return fit_temperature_to(logits, softmax(self.logits / self.temperature))


def _divergence(wanted: NDArray[np.float64], given: NDArray[np.float64]) -> float:
    least = np.finfo(np.float64).tiny
    ratio = np.log(np.maximum(wanted, least)) - np.log(np.maximum(given, least))
    return float((wanted * ratio).sum(axis=1).mean())
