"""Prediction sets: which labels hold the truth with the coverage that the bundle states.

Adaptive prediction sets (Romano, Sesia and Candès 2020, "Classification with valid and adaptive coverage") and their
regularised form, RAPS (Angelopoulos, Bates, Malik and Jordan 2021, "Uncertainty sets for image classifiers using
conformal prediction"): labels join from the most probable on; the set ends where their mass, plus ``penalty`` for each
label beyond the first ``free``, passes the quantile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animal_classification.bundle.schema import Conformal


def masses(probabilities: NDArray[np.float64], rule: Conformal) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Labels in descending order, and for each the mass of itself and those before, with the penalties.

    Args:
        probabilities: ``[N, C]``.
        rule: Penalty and free labels; its quantile is not used.

    Returns:
        ``order [N, C]`` and ``mass [N, C]``, which ascends along a row.
    """
    order = np.argsort(-probabilities, axis=1, kind="stable")
    ranked = np.take_along_axis(probabilities, order, axis=1)
    penalties = rule.penalty * np.maximum(0, np.arange(1, ranked.shape[1] + 1) - rule.free)
    return order, ranked.cumsum(axis=1) + penalties


def set_sizes(mass: NDArray[np.float64], quantile: float) -> NDArray[np.int64]:
    """How many labels each photo's set holds: up to the one that passes the quantile, so at least one.

    Without the randomisation that makes the coverage exact, so the truth is in it at least as often as stated, and the
    same photo always has the same set.
    """
    sizes: NDArray[np.int64] = np.minimum((mass < quantile).sum(axis=1) + 1, mass.shape[1])
    return sizes
