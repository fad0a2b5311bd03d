"""Do the probabilities mean what they say: temperature scaling, and how far off they are. NumPy only.

Guo, Pleiss, Sun and Weinberger 2017, "On calibration of modern neural networks"; bins of equally many photos after
Roelofs, Cain, Shlens and Mozer 2022, "Mitigating bias in calibration error estimation".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from animal_classification.inference.decide import softmax

BINS = 15
_COLDEST, _HOTTEST = 0.01, 100.0
_STEPS = 60
_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True, slots=True)
class Bin:
    """Photos of about one confidence.

    Attributes:
        low: Least confidence that belongs here.
        high: Most.
        n: How many photos.
        confidence: Mean probability of their answers; 0 without photos.
        accuracy: Share of right answers; 0 without photos.
    """

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


def fit_temperature(logits: NDArray[np.floating], targets: NDArray[np.integer]) -> float:
    """The temperature at which logits give the targets the highest likelihood.

    The likelihood has one maximum in the inverse of the temperature; golden-section search finds it.

    Args:
        logits: ``[N, C]`` of photos that the model was not fitted to.
        targets: ``[N]``, positions of the true classes.

    Returns:
        In [0.01, 100]; 1 without photos. Where every answer is right the likelihood only rises as it gets colder, so
        one photo counts as half wrong: no finite sample shows that a model never errs.
    """
    if not len(logits):
        return 1.0
    exact = np.asarray(logits, dtype=np.float64)
    exact = exact - exact.max(axis=1, keepdims=True)
    own = np.arange(len(exact)), np.asarray(targets)
    # Half a photo's share of the uniform distribution in every target (label smoothing of 1/2N).
    smooth = 0.5 / len(exact)
    wanted = (1 - smooth) * exact[own] + smooth * exact.mean(axis=1)

    def loss(log_temperature: float) -> float:
        factor = np.exp(-log_temperature)
        return float((np.log(np.exp(exact * factor).sum(axis=1)) - wanted * factor).mean())

    low, high = np.log(_COLDEST), np.log(_HOTTEST)
    first, second = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_first, at_second = loss(first), loss(second)
    for _ in range(_STEPS):
        if at_first <= at_second:
            high, second, at_second = second, first, at_first
            first = high - _GOLDEN * (high - low)
            at_first = loss(first)
        else:
            low, first, at_first = first, second, at_second
            second = low + _GOLDEN * (high - low)
            at_second = loss(second)
    return float(np.exp((low + high) / 2))


def reliability(
    confidence: NDArray[np.float64], correct: NDArray[np.bool_], *, bins: int = BINS, equal_mass: bool = True
) -> tuple[Bin, ...]:
    """The reliability diagram's bars: how often answers of a confidence are right.

    Args:
        confidence: Probability of each answer, ``[N]``.
        correct: Whether it was right, ``[N]``.
        bins: How many.
        equal_mass: As many photos in each, or the same width.
    """
    place = _places(confidence, bins, equal_mass)
    edges = np.linspace(0.0, 1.0, bins + 1)
    found = []
    for number in range(bins):
        inside, right = confidence[place == number], correct[place == number]
        n = len(inside)
        low, high = (inside.min(), inside.max()) if equal_mass and n else (edges[number], edges[number + 1])
        means = (float(inside.mean()), float(right.mean())) if n else (0.0, 0.0)
        found.append(Bin(float(low), float(high), n, *means))
    return tuple(found)


def error_by_chance(
    confidence: NDArray[np.float64], *, bins: int = BINS, equal_mass: bool = True, rounds: int = 200, seed: int = 0
) -> float:
    """The calibration error that a perfect model with these confidences would show on average.

    It is not zero: with few photos in a bin, their share of right answers differs from the confidence by chance.
    """
    place = _places(confidence, bins, equal_mass)
    member = (place[:, None] == np.arange(bins)).astype(np.float64)
    drawn = np.random.default_rng(seed).random((rounds, len(confidence))) < confidence
    return float(np.abs((drawn - confidence) @ member).sum(axis=1).mean() / max(len(confidence), 1))


def _places(confidence: NDArray[np.float64], bins: int, equal_mass: bool) -> NDArray[np.int64]:
    """The bin of each photo."""
    if equal_mass:
        place = np.empty(len(confidence), dtype=np.int64)
        place[np.argsort(confidence, kind="stable")] = np.arange(len(confidence)) * bins // max(len(confidence), 1)
        return place
    # A confidence on an edge belongs below it, as in Guo's definition.
    edges = np.linspace(0.0, 1.0, bins + 1)
    result: NDArray[np.int64] = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    return result


def calibration_error(bins: tuple[Bin, ...]) -> float:
    """Expected calibration error: mean distance of confidence and accuracy, weighted by photos; 0 without photos."""
    total = sum(one.n for one in bins)
    return sum(one.n * abs(one.confidence - one.accuracy) for one in bins) / total if total else 0.0


def brier_score(probabilities: NDArray[np.float64], targets: NDArray[np.integer]) -> float:
    """Mean squared distance of the probabilities from the truth, summed over classes: 0 at best, 2 at worst."""
    wanted = np.zeros_like(probabilities)
    wanted[np.arange(len(targets)), targets] = 1.0
    return float(((probabilities - wanted) ** 2).sum(axis=1).mean()) if len(targets) else 0.0


def log_loss(probabilities: NDArray[np.float64], targets: NDArray[np.integer]) -> float:
    """Mean negative logarithm of the truth's probability."""
    own = probabilities[np.arange(len(targets)), targets]
    return float(-np.log(np.maximum(own, 1e-300)).mean()) if len(targets) else 0.0


def calibrated(logits: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    """Probabilities of logits ``[N, C]`` at a temperature."""
    return softmax(np.asarray(logits, dtype=np.float64) / temperature)
