"""How accurate a model in use is, from the photos that were chosen by chance and looked at.

Each photo was chosen with a probability that depends on its doubt and is kept (``prediction_log.photo_sampling``). The
estimate is model-assisted (Särndal, Swensson and Wretman 1992): the mean confidence of all photos, corrected by how
wrong it is on those that were looked at, each weighted by one over its probability. It is right on average whatever
the confidences are worth; the better they are, the narrower is the interval.

People answer doubtful photos less often, so the correction is made in each third of doubt by itself. The interval is a
weighted Bayesian bootstrap (Rubin 1981), with half a right and half a wrong photo added to each third, as Jeffreys'
interval does for a proportion: ten sure photos that are all right do not say that all such are.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

THIRDS = 3
# Fewer answers give an interval so wide that it says nothing.
FEWEST = 30
_LEVEL = 0.95
_DRAWS = 1000
_PRIOR = 0.5


@dataclass(frozen=True, kw_only=True)
class AuditSample:
    """The photos that were chosen, of many.

    Attributes:
        photo: SHA-256 of each, in hex.
        probability: float64 ``[N]``, with which each was chosen, above 0.
        doubt: float64 ``[N]``.
        confidence: float64 ``[N]``, the model's own probability that its answer is right.
        right: float64 ``[N]``, 1 or 0 where somebody looked, NaN where nobody did.
        mean_confidence: Of all photos, chosen or not.
        photos: How many those are.
    """

    photo: tuple[str, ...]
    probability: NDArray[np.float64]
    doubt: NDArray[np.float64]
    confidence: NDArray[np.float64]
    right: NDArray[np.float64]
    mean_confidence: float
    photos: int


@dataclass(frozen=True, kw_only=True)
class AuditedAccuracy:
    """Accuracy with its interval.

    Attributes:
        accuracy: Of all photos; ``None`` with fewer than ``FEWEST`` answers.
        low: Lower end of the 95% interval.
        high: Upper end.
        reviewed: How many photos were looked at.
        chosen: How many were chosen.
        photos: Of how many.
        response: Share that was looked at, by third of doubt, the surest first; ``None`` where nothing was chosen.
    """

    accuracy: float | None
    low: float | None
    high: float | None
    reviewed: int
    chosen: int
    photos: int
    response: tuple[float | None, ...]

    def to_json(self) -> dict[str, Any]:
        """As in ``/v1/monitor``."""
        return {
            "accuracy": _rounded(self.accuracy),
            "low": _rounded(self.low),
            "high": _rounded(self.high),
            "reviewed": self.reviewed,
            "chosen": self.chosen,
            "photos": self.photos,
            "response": [_rounded(share) for share in self.response],
        }


def audited_accuracy(sample: AuditSample) -> AuditedAccuracy:
    """Estimate accuracy; the same sample gives the same numbers."""
    thirds = _thirds(sample)
    answered = ~np.isnan(sample.right)
    response = tuple(_share(answered[thirds == third]) for third in range(THIRDS))
    reviewed = int(answered.sum())
    point = low = high = None
    if reviewed >= FEWEST:
        strata = [_Stratum(sample, thirds == third) for third in range(THIRDS)]
        point = sample.mean_confidence + _combined(strata)
        deviations = _deviations(strata, np.random.default_rng(_seed(sample)))
        tail = (1.0 - _LEVEL) / 2
        low, high = (float(np.quantile(deviations, share)) + sample.mean_confidence for share in (tail, 1.0 - tail))
        point, low, high = _within(point), _within(min(low, point)), _within(max(high, point))
    return AuditedAccuracy(
        accuracy=point,
        low=low,
        high=high,
        reviewed=reviewed,
        chosen=len(sample.photo),
        photos=sample.photos,
        response=response,
    )


class _Stratum:
    """One third of doubt."""

    def __init__(self, sample: AuditSample, there: NDArray[np.bool_]) -> None:
        probability, right = sample.probability[there], sample.right[there]
        answered = ~np.isnan(right)
        count = int(answered.sum())
        response = count / max(1, len(right))
        self.weights = 1.0 / probability
        self.spread = np.sqrt(1.0 - np.minimum(1.0, probability))
        self.answer_weights = self.weights[answered]
        self.errors = (right - sample.confidence[there])[answered]
        # What is known of all photos cannot be wrong; small samples spread more than their variance says.
        size = self.answer_weights.sum() ** 2 / (self.answer_weights**2).sum() if count else 0.0
        small = np.sqrt(size / (size - 1)) if size > 1 else 1.0
        self.answer_spread = small * np.sqrt(1.0 - np.minimum(1.0, probability[answered] * response))
        self.confidence = float(np.average(sample.confidence[there], weights=self.weights)) if len(right) else 0.5

    @property
    def error(self) -> float:
        """Mean of right less confidence; 0 where nobody looked."""
        return float(np.average(self.errors, weights=self.answer_weights)) if len(self.errors) else 0.0

    def weight_draws(self, generator: np.random.Generator) -> NDArray[np.float64]:
        """How many photos it may stand for, ``[draws]``."""
        factors = 1.0 + self.spread * (generator.standard_gamma(1.0, (_DRAWS, len(self.weights))) - 1.0)
        result: NDArray[np.float64] = factors @ self.weights
        return result

    def error_draws(self, generator: np.random.Generator) -> NDArray[np.float64]:
        """What ``error`` may be, ``[draws]``."""
        weights = self.answer_weights
        factors = 1.0 + self.answer_spread * (generator.standard_gamma(1.0, (_DRAWS, len(weights))) - 1.0)
        typical = float(weights.mean()) if len(weights) else 1.0
        spread = float(self.answer_spread.mean()) if len(weights) else 1.0
        added = typical * spread * generator.standard_gamma(_PRIOR, (_DRAWS, 2))
        errors = factors @ (weights * self.errors) + added @ np.array([1.0 - self.confidence, -self.confidence])
        total = factors @ weights + added.sum(axis=1)
        result: NDArray[np.float64] = errors / np.maximum(total, 1e-12)
        return result


def _combined(strata: list[_Stratum]) -> float:
    shares = np.array([stratum.weights.sum() for stratum in strata])
    return float(shares @ np.array([stratum.error for stratum in strata]) / shares.sum())


def _deviations(strata: list[_Stratum], generator: np.random.Generator) -> NDArray[np.float64]:
    shares = np.stack([stratum.weight_draws(generator) for stratum in strata])
    errors = np.stack([stratum.error_draws(generator) for stratum in strata])
    result: NDArray[np.float64] = (shares * errors).sum(axis=0) / shares.sum(axis=0)
    return result


def _thirds(sample: AuditSample) -> NDArray[np.int64]:
    if not len(sample.doubt):
        return np.empty(0, np.int64)
    cuts = np.quantile(sample.doubt, np.arange(1, THIRDS) / THIRDS)
    found: NDArray[np.int64] = np.searchsorted(cuts, sample.doubt).astype(np.int64)
    return found


def _seed(sample: AuditSample) -> int:
    words = "\n".join(f"{photo} {right}" for photo, right in zip(sample.photo, sample.right, strict=True))
    return int.from_bytes(hashlib.sha256(words.encode()).digest()[:8], "big")


def _share(answered: NDArray[np.bool_]) -> float | None:
    return float(answered.mean()) if len(answered) else None


def _within(value: float) -> float:
    return min(1.0, max(0.0, value))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
