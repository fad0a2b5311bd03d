"""Prediction sets that hold the truth as often as stated: split-conformal APS and RAPS. NumPy only.

The sets themselves are made by ``inference.sets``; here is the quantile, and how well it keeps its word.

The score of a photo is the mass of the labels before the truth, plus a share of the truth's own mass that is drawn by
lot, plus the penalties. Drawing makes the coverage exact: ``1 - alpha`` to ``1 - alpha + 1 / (n + 1)`` on photos that
are exchangeable with those that gave the quantile, whatever the model is worth. The sets that people see are made
without a lot: they hold the drawn ones, and so the truth at least as often.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from animal_classification.bundle.schema import Conformal
from animal_classification.inference.prediction_sets import masses, set_sizes

ALPHA = 0.1
# RAPS's two numbers. Its authors choose them on a part of the photos; of a few hundred, each is better spent on the
# quantile (docs/evaluation.md compares).
PENALTY = 0.1
FREE = 2
# Below this a quantile says more about which photos were drawn than about the model.
FEWEST = 30


def fit_conformal(
    probabilities: NDArray[np.float64], targets: NDArray[np.integer], *, alpha: float = ALPHA, seed: int = 0
) -> Conformal | None:
    """The rule whose sets hold the truth with probability ``1 - alpha``.

    Args:
        probabilities: Calibrated, ``[N, C]``, of photos that the model was not fitted to.
        targets: ``[N]``, positions of the true classes.
        alpha: How often the truth may be missing.
        seed: For the lot.

    Returns:
        ``None`` where there are too few photos.
    """
    if len(targets) < max(FEWEST, math.ceil(1 / alpha) - 1):
        return None
    rule = Conformal(alpha=alpha, quantile=0.0, method="raps", penalty=PENALTY, free=FREE, n=len(targets))
    scores = truth_scores(probabilities, targets, rule, draws(len(targets), seed))
    return rule.model_copy(update={"quantile": conformal_quantile(scores, alpha)})


def conformal_quantile(scores: NDArray[np.float64], alpha: float) -> float:
    """The score that a new photo stays below with probability at least ``1 - alpha``.

    With the correction for a finite sample: the ``ceil((n + 1)(1 - alpha))``-th smallest.
    """
    rank = math.ceil((len(scores) + 1) * (1 - alpha) - 1e-9)
    return float(np.sort(scores)[min(rank, len(scores)) - 1])


def truth_scores(
    probabilities: NDArray[np.float64], targets: NDArray[np.integer], rule: Conformal, lots: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Each photo's score for its true class, ``[N]``: it is in the drawn set if this is at most the quantile."""
    order, mass = masses(probabilities, rule)
    rank = (order == np.asarray(targets)[:, None]).argmax(axis=1)
    own = probabilities[np.arange(len(rank)), targets]
    result: NDArray[np.float64] = mass[np.arange(len(rank)), rank] - lots * own
    return result


def coverage(
    probabilities: NDArray[np.float64], targets: NDArray[np.integer], rule: Conformal, *, seed: int = 1
) -> float:
    """How often the drawn sets hold the truth; to be compared with ``1 - rule.alpha``."""
    scores = truth_scores(probabilities, targets, rule, draws(len(targets), seed))
    return float((scores <= rule.quantile).mean())


def shown_sets(
    probabilities: NDArray[np.float64], targets: NDArray[np.integer], rule: Conformal
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The sets that predictions carry.

    Returns:
        How many labels each holds, and whether the truth is among them.
    """
    order, mass = masses(probabilities, rule)
    sizes = set_sizes(mass, rule.quantile)
    rank = (order == np.asarray(targets)[:, None]).argmax(axis=1)
    return sizes, rank < sizes


def draws(count: int, seed: int) -> NDArray[np.float64]:
    """Numbers in [0, 1), the same for the same seed."""
    return np.random.default_rng(seed).random(count)
