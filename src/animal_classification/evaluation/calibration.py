"""Calibration: temperature scaling, and the calibration error. NumPy only.

Guo, Pleiss, Sun and Weinberger 2017, "On calibration of modern neural networks"; bins of equally many photos after
Roelofs, Cain, Shlens and Mozer 2022, "Mitigating bias in calibration error estimation".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from animal_classification.common.softmax import softmax

BINS = 15
_COLDEST, _HOTTEST = 0.01, 100.0
_STEPS = 100
_PRECISION = 1e-12
# Further below the best than any network's logit: a class that could not be learned from the other folds.
_RULED_OUT = 1e6


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

    Args:
        logits: ``[N, C]`` of photos that the model was not fitted to. A class that is ruled out for a photo has a
            logit a million or more below the best.
        targets: ``[N]``, positions of the true classes.

    Returns:
        In [0.01, 100]; 1 without photos. Where every answer is right the likelihood only rises as it gets colder, so
        one photo counts as half wrong: no finite sample shows that a model never errs.
    """
    exact = _from_the_best(logits)
    possible = exact > -_RULED_OUT
    # Half a photo's share of the uniform distribution in every target (label smoothing of 1/2N).
    smooth = 0.5 / max(len(exact), 1)
    mean = np.where(possible, exact, 0.0).sum(axis=1) / possible.sum(axis=1)
    return _best_temperature(exact, (1 - smooth) * exact[np.arange(len(exact)), np.asarray(targets)] + smooth * mean)


def fit_temperature_to(logits: NDArray[np.floating], probabilities: NDArray[np.floating]) -> float:
    """The temperature at which logits are nearest to given probabilities, by Kullback-Leibler divergence from these.

    Args:
        logits: ``[N, C]``.
        probabilities: ``[N, C]``, of the same photos.

    Returns:
        In [0.01, 100]; 1 without photos.
    """
    exact = _from_the_best(logits)
    return _best_temperature(exact, (np.asarray(probabilities, dtype=np.float64) * exact).sum(axis=1))


def _from_the_best(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    exact = np.asarray(logits, dtype=np.float64)
    result: NDArray[np.float64] = exact - exact.max(axis=1, keepdims=True) if len(exact) else exact
    return result


def _best_temperature(exact: NDArray[np.float64], wanted: NDArray[np.float64]) -> float:
    """Where the mean of ``log(sum(exp(exact / t))) - wanted / t`` has its minimum.

    It is convex in ``1 / t``: Newton's steps, and bisection where one leaves what is known to hold the minimum.

    Args:
        exact: Logits ``[N, C]``, their maximum 0.
        wanted: What they are on average over the target's distribution, ``[N]``.
    """
    if not len(exact):
        return 1.0
    aim = float(wanted.mean())
    low, high = 1 / _HOTTEST, 1 / _COLDEST
    inverse = 1.0
    for _ in range(_STEPS):
        weights = np.exp(exact * inverse)
        weights /= weights.sum(axis=1, keepdims=True)
        means = (weights * exact).sum(axis=1)
        slope = float(means.mean()) - aim
        curvature = float(((weights * exact**2).sum(axis=1) - means**2).mean())
        low, high = (low, inverse) if slope > 0 else (inverse, high)
        following = inverse - slope / curvature if curvature > 0 else np.inf
        if not low < following < high:
            following = float(np.sqrt(low * high))
        if abs(following - inverse) <= _PRECISION * inverse:
            break
        inverse = following
    return float(1 / inverse)


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
