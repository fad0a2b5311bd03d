"""Where a threshold must lie so that a promise about new photos holds: one-sided tolerance bounds. NumPy only.

Of ``n`` independent scores from one continuous distribution, the share of new scores below the ``r``-th lowest has the
distribution Beta(r, n + 1 - r), whatever the scores' own distribution is (Wilks 1941, "Determination of sample sizes
for setting tolerance limits"). It exceeds ``p`` with the probability that a binomial count of ``n`` trials at ``p``
stays below ``r``.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.9
_STEPS = 60


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
    for _ in range(_STEPS):
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
