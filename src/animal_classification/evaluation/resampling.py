"""How far chance may have moved a number: bootstrap over independent units, and McNemar's exact test. NumPy only."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from animal_classification.evaluation.result import Interval

ROUNDS = 2000
_FEWEST_ROUNDS = 200
LEVEL = 0.95
_NUMBERS_AT_ONCE = 4_000_000
# Where photos are many, fewer rounds say as much about them: the interval is small then.
_DRAWN_IN_ALL = 40_000_000

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Takes how often each photo counts, ``[rounds, N]``, and gives a number for each round."""


def bootstrap(
    statistic: Statistic, units: NDArray[np.integer], *, rounds: int = ROUNDS, level: float = LEVEL, seed: int = 0
) -> Interval:
    """A number with its percentile interval, drawing units with replacement (cluster bootstrap).

    Args:
        statistic: The number, of weighted photos.
        units: ``[N]``, equal numbers for photos that are no two observations: copies, frames of a sequence.
        rounds: How often to draw; less often where that would take long.
        level: Of the interval.
        seed: The same seed gives the same interval.
    """
    value = float(statistic(np.ones((1, len(units))))[0])
    rounds = max(min(rounds, _DRAWN_IN_ALL // max(len(units), 1)), min(rounds, _FEWEST_ROUNDS))
    drawn = np.concatenate([statistic(weights) for weights in _weights(units, rounds, seed)])
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn):
        return Interval(value=value, low=value, high=value)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    # The number itself may lie outside where few units differ much in size.
    return Interval(value=value, low=min(float(low), value), high=max(float(high), value))


def share_interval(
    values: NDArray[np.bool_], units: NDArray[np.integer], statistic: Statistic | None = None, *, rounds: int = ROUNDS
) -> Interval:
    """The interval of a share, such as the accuracy.

    Where all photos agree every draw does, and the bootstrap says that nothing else could be: then the bound of the
    binomial distribution stands in for it (Clopper and Pearson 1934), with the units as the number of trials.

    Args:
        values: What the share is of, ``[N]``.
        units: As for :func:`bootstrap`.
        statistic: Another mean of the values than that over photos.
        rounds: How often to draw.
    """
    found = bootstrap(statistic or mean_of(values), units, rounds=rounds)
    if not (values.all() or not values.any()):
        return found
    least = ((1 - LEVEL) / 2) ** (1 / len(np.unique(units)))
    return Interval(value=1.0, low=least, high=1.0) if values.all() else Interval(value=0.0, low=0.0, high=1 - least)


def mean_of(values: NDArray[np.floating] | NDArray[np.bool_]) -> Statistic:
    """The weighted mean of a number for each photo, such as 1 for a right answer."""
    exact = np.asarray(values, dtype=np.float64)

    def statistic(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        result: NDArray[np.float64] = weights @ exact / weights.sum(axis=1)
        return result

    return statistic


def mean_of_class_means(values: NDArray[np.bool_], targets: NDArray[np.integer]) -> Statistic:
    """The mean over classes of the weighted mean in each, over classes that have a photo: balanced accuracy."""
    present, code = np.unique(targets, return_inverse=True)
    member = np.zeros((len(code), len(present)))
    member[np.arange(len(code)), code] = 1.0
    right = member * np.asarray(values, dtype=np.float64)[:, None]

    def statistic(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        counts, hits = weights @ member, weights @ right
        there = counts > 0
        shares = np.divide(hits, counts, out=np.zeros_like(hits), where=there)
        result: NDArray[np.float64] = shares.sum(axis=1) / there.sum(axis=1)
        return result

    return statistic


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided p-value of McNemar's exact test.

    Args:
        only_first: Photos that only the first model has right.
        only_second: Photos that only the second has right.

    Returns:
        Probability that chance alone makes the two numbers differ this much.
    """
    total, fewer = only_first + only_second, min(only_first, only_second)
    if total == 0:
        return 1.0
    logs = [
        math.lgamma(total + 1) - math.lgamma(k + 1) - math.lgamma(total - k + 1) - total * math.log(2)
        for k in range(fewer + 1)
    ]
    return min(1.0, 2 * math.fsum(math.exp(one) for one in logs))


def _weights(units: NDArray[np.integer], rounds: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """How often each photo is drawn, ``[some rounds, N]`` at a time."""
    _, code = np.unique(units, return_inverse=True)
    count = int(code.max()) + 1
    generator = np.random.default_rng(seed)
    step = max(1, _NUMBERS_AT_ONCE // len(code))
    for start in range(0, rounds, step):
        now = min(step, rounds - start)
        drawn = generator.integers(0, count, (now, count)) + np.arange(now)[:, None] * count
        often = np.bincount(drawn.ravel(), minlength=now * count).reshape(now, count)
        yield often[:, code].astype(np.float64)
