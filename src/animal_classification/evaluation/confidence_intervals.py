"""Confidence intervals of shares and of differences, and tolerance bounds. NumPy only.

One method for all of them: Wilson's score interval (1927) with the *effective* number of photos, as is advised for
shares from samples in clusters (Korn and Graubard 1998; Franco, Little, Louis and Slud 2019). Photos of one unit
(copies of a picture, one site, one sequence) are alike to a degree ``rho``: two of them say less than two photos of two
units. Nobody knows ``rho``. Its distribution given the photos is that of the beta-binomial model, and the interval
is the one for all its values together, so that few units give wide intervals.

What is promised, and simulated in the tests: 95% intervals hold the truth in 93 to 97% of cases, for 5, 12 and 60 units
of unequal size and for 20 to 2,000 independent photos. More right photos never lower the low end where photos are
independent; where they are not, a faultless result has the highest low end of all.

Tolerance bounds, further down, say where a threshold must lie so that a promise about new photos holds. Of ``n``
independent scores from one continuous distribution, the share of new scores below the ``r``-th lowest has the
distribution Beta(r, n + 1 - r), whatever the scores' own distribution is (Wilks 1941, "Determination of sample sizes
for setting tolerance limits"). It exceeds ``p`` with the probability that a binomial count of ``n`` trials at ``p``
stays below ``r``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from animal_classification.evaluation.result import Interval

LEVEL = 0.95
_TAIL = (1 - LEVEL) / 2
# Halvings, more than a float64 can tell apart.
_HALVINGS, _BOUND_HALVINGS = 50, 60
_VALUES = 40
# Values of rho with equal weight before any photo is seen: density 2 (1 - rho), mean 1/3. Sites differ by less, frames
# of one burst by more; of 1, 2 and 3 for the exponent, 2 holds the truth nearest to 95% with 5 and with 12 units.
_RHO = 1 - np.sqrt(1 - (np.arange(_VALUES) + 0.5) / _VALUES)
CONFIDENCE = 0.9  # of tolerance bounds


def share_interval(
    values: NDArray[np.bool_], units: NDArray[np.integer], weights: NDArray[np.floating] | None = None
) -> Interval:
    """Interval of the share of photos with some property, such as a right answer.

    Args:
        values: Which photos have it, ``[N]``, N at least 1.
        units: ``[N]``, equal numbers for photos that are no two observations.
        weights: How much each photo counts; alike by default, :func:`class_weights` for balanced accuracy.
    """
    sample = _Sample.of(units, weights)
    right = np.asarray(values, dtype=np.float64)
    share = float(np.average(values, weights=weights))
    share = 1.0 if values.all() else share  # whatever the weights' sums are rounded to
    low, high = _score_interval(share, *sample.effective(right))
    if sample.clustered:
        # Few mistakes in few units look like little likeness, none at all like anything: without this bound a model
        # that errs nowhere would have a lower low end than one that errs once.
        least = _score_interval(1.0, *sample.effective(np.ones_like(right)))[0]
        low, high = min(low, least), max(high, 1 - least)
    return Interval(value=share, low=min(low, share), high=max(high, share))


def difference_interval(first: NDArray[np.bool_], second: NDArray[np.bool_], units: NDArray[np.integer]) -> Interval:
    """Interval of the first share minus the second, both of the same photos.

    After Bonett and Price 2012: one photo that only the first has and one that only the second has are added, so that
    two models that never differ on few photos are not said to be equal.

    Args:
        first: ``[N]``, N at least 1.
        second: ``[N]``.
        units: As for :func:`share_interval`.
    """
    sample = _Sample.of(units, None)
    only_first, only_second = (first & ~second).astype(np.float64), (second & ~first).astype(np.float64)
    gained, lost = float(only_first.mean()), float(only_second.mean())
    counts, chances = sample.effective(only_first, only_second)
    plus, minus = ((share * counts + 1) / (counts + 2) for share in (gained, lost))
    middle, spread = plus - minus, np.sqrt((plus + minus - (plus - minus) ** 2) / (counts + 2))

    def above(at: float) -> float:
        return float(chances @ _normal((at - middle) / spread))

    low, high = _crossing(above, -1.0, 1.0, _TAIL), _crossing(above, -1.0, 1.0, 1 - _TAIL)
    value = gained - lost
    return Interval(value=value, low=min(low, value), high=max(high, value))


def class_weights(targets: NDArray[np.integer]) -> NDArray[np.float64]:
    """Weights by which every class that has photos counts alike: shares become the mean over classes."""
    _, code, counts = np.unique(targets, return_inverse=True, return_counts=True)
    result: NDArray[np.float64] = 1.0 / counts[code]
    return result


def wilson(share: float, count: float) -> tuple[float, float]:
    """The 95% interval of a share of ``count`` independent photos (Wilson 1927)."""
    return _score_interval(share, np.array([count]), np.ones(1)) if count else (0.0, 1.0)


def effective_share(values: NDArray[np.bool_], units: NDArray[np.integer]) -> float:
    """As how many independent photos each photo counts, in (0, 1]: the mean over what ``rho`` may be."""
    counts, chances = _Sample.of(units, None).effective(np.asarray(values, dtype=np.float64))
    return float(chances @ counts) / len(values)


@dataclass(frozen=True)
class _Sample:
    """Photos in units.

    Attributes:
        code: int ``[N]``, the unit of each photo, from 0.
        sizes: int ``[G]``, photos of each unit.
        weights: float64 ``[N]``, with the sum 1.
    """

    code: NDArray[np.intp]
    sizes: NDArray[np.int64]
    weights: NDArray[np.float64]

    @classmethod
    def of(cls, units: NDArray[np.integer], weights: NDArray[np.floating] | None) -> _Sample:
        _, code, sizes = np.unique(units, return_inverse=True, return_counts=True)
        plain = np.ones(len(units)) if weights is None else np.asarray(weights, dtype=np.float64)
        return cls(code, sizes.astype(np.int64), plain / plain.sum())

    @property
    def clustered(self) -> bool:
        return bool((self.sizes > 1).any())

    def effective(self, *events: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Effective numbers of photos, one for each value of ``rho``, and how probable each is.

        Args:
            events: What happened to each photo, 0 or 1, ``[N]``; ``rho`` is that of all of them.
        """
        alone = float((self.weights**2).sum())
        if not self.clustered:
            return np.array([1 / alone]), np.ones(1)
        together = float((np.bincount(self.code, self.weights) ** 2).sum())
        units = len(self.sizes)
        # One mean is taken from the photos: the spread about it is that much smaller than about the truth.
        together *= 2 * units / (2 * units - 1)
        logs = sum(self._likelihood(one) for one in events) + np.zeros(_VALUES)
        chances = np.exp(logs - logs.max())
        return 1 / ((1 - _RHO) * alone + _RHO * together), chances / chances.sum()

    def _likelihood(self, event: NDArray[np.float64]) -> NDArray[np.float64]:
        """Logarithm of the beta-binomial likelihood of each ``rho``, up to a constant."""
        hits = np.bincount(self.code, event)
        share = (hits.sum() + 0.5) / (len(event) + 1)
        pairs, often = np.unique(
            np.stack([hits, self.sizes])[:, self.sizes > 1].astype(np.int64), axis=1, return_counts=True
        )
        had, size = pairs.astype(np.float64)[:, :, None]
        strength = (1 - _RHO) / _RHO
        a, b = share * strength, (1 - share) * strength
        logs = _log_gamma(a + had) - _log_gamma(a) + _log_gamma(b + size - had) - _log_gamma(b)
        logs += _log_gamma(a + b) - _log_gamma(a + b + size)
        result: NDArray[np.float64] = often @ logs
        return result


def _score_interval(share: float, counts: NDArray[np.float64], chances: NDArray[np.float64]) -> tuple[float, float]:
    """The true shares at which one as small, and one as large, as the observed one are just not too rare."""

    def below(truth: float) -> float:
        spread = np.sqrt(max(truth * (1 - truth), 1e-300) / counts)
        return float(chances @ _normal((truth - share) / spread))

    low = _crossing(below, 0.0, share, _TAIL) if share > 0 else 0.0
    high = _crossing(below, share, 1.0, 1 - _TAIL) if share < 1 else 1.0
    return low, high


def _crossing(function: Callable[[float], float], start: float, end: float, wanted: float) -> float:
    """Where a function that grows from ``start`` to ``end`` is ``wanted``."""
    for _ in range(_HALVINGS):
        middle = (start + end) / 2
        start, end = (middle, end) if function(middle) < wanted else (start, middle)
    return (start + end) / 2


def _normal(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The standard normal distribution."""
    return np.array([0.5 * math.erfc(-one / math.sqrt(2)) for one in values.tolist()])


def _log_gamma(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Stirling's series, seven steps further on, where it has twelve right digits."""
    steps = np.arange(7.0)
    moved = values + len(steps)
    inverse = 1 / moved
    series = inverse * (1 / 12 - inverse**2 * (1 / 360 - inverse**2 * (1 / 1260 - inverse**2 / 1680)))
    result: NDArray[np.float64] = (
        (moved - 0.5) * np.log(moved)
        - moved
        + 0.5 * math.log(2 * math.pi)
        + series
        - np.log(values[..., None] + steps).sum(axis=-1)
    )
    return result


def tolerance_rank(count: int, share: float, confidence: float = CONFIDENCE) -> int:
    """The highest rank whose score at most ``share`` of new scores stay below, with this confidence.

    Args:
        count: Independent scores.
        share: What may stay below, in (0, 1).
        confidence: Over the choice of the scores, in (0, 1).

    Returns:
        From 1; 0 where so few scores can promise nothing of the kind.
    """
    # Beyond the mean, less than half of the counts lie above: no confidence worth the name.
    most = min(count, math.ceil(count * share) + 1)
    return int((_binomial_distribution(most, count, share) <= 1 - confidence).sum())


def share_below(count: int, rank: int, confidence: float = CONFIDENCE) -> float:
    """At most this share of new scores stays below the ``rank``-th lowest of ``count``, with this confidence."""
    low, high = 0.0, 1.0
    for _ in range(_BOUND_HALVINGS):
        middle = (low + high) / 2
        enough = _binomial_distribution(rank - 1, count, middle)[-1] <= 1 - confidence
        low, high = (low, middle) if enough else (middle, high)
    return high


def fewest_for(share: float, confidence: float = CONFIDENCE) -> int:
    """How many independent scores it takes for any promise about this share: 114 for two percent at 90%."""
    return math.ceil(math.log(1 - confidence) / math.log1p(-share) - 1e-9)


def _binomial_distribution(most: int, count: int, share: float) -> NDArray[np.float64]:
    """Probability of at most 0, 1, … ``most`` of ``count`` events that have the probability ``share`` each."""
    events = np.arange(1, most + 1)
    ways = np.concatenate([[0.0], np.cumsum(np.log(count + 1 - events) - np.log(events))])
    number = np.arange(most + 1)
    logs = ways + number * math.log(share) + (count - number) * math.log1p(-share)
    result: NDArray[np.float64] = np.cumsum(np.exp(logs))
    return result
