"""Out-of-distribution scores: energy of the logits and distance of the embedding.

The distance is the relative Mahalanobis distance (Ren et al. 2021): to the nearest class, less that to all classes
taken as one. It is computed on embeddings of length one in the leading directions of the training photos; what lies
outside of these directions counts with one variance for all. Sixty-four directions keep it at some ten microseconds a
photo.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from animal_classification.common.softmax import logsumexp
from animal_classification.inference.linalg import product

if TYPE_CHECKING:
    from animal_classification.bundle.schema import Unknown


@dataclass(frozen=True)
class FeatureDistance:
    """The relative Mahalanobis distance to training photos, as fitted by ``evaluation.ood``.

    Attributes:
        centre: float32 ``[D]``, the mean of the embeddings.
        basis: ``[D, r]``, orthonormal directions.
        within: float32 ``[r, r]``; a photo's coordinates times this have unit variance within a class.
        total: float32 ``[r, r]``, the same for all classes taken as one.
        means: float32 ``[C, r]``, the classes in the coordinates of ``within``.
        outside: Weight of the squared length outside of the basis.
    """

    centre: NDArray[np.float32]
    basis: NDArray[np.float32]
    within: NDArray[np.float32]
    total: NDArray[np.float32]
    means: NDArray[np.float32]
    outside: float

    def score(self, embeddings: NDArray[np.floating]) -> NDArray[np.float64]:
        """The negative relative distance of embeddings ``[N, D]``: higher means more like the classes."""
        moved = unit_length(embeddings) - self.centre
        inside = product(moved, self.basis)
        left = np.maximum((moved * moved).sum(axis=1) - (inside * inside).sum(axis=1), 0.0)
        whitened = product(inside, self.within)
        # |a - b|^2 multiplied out, because a difference with every class would be N x C x r numbers.
        lengths = (whitened * whitened).sum(axis=1)[:, None] + (self.means * self.means).sum(axis=1)
        nearest = (lengths - 2.0 * product(whitened, self.means.T)).min(axis=1)
        all_as_one = product(inside, self.total)
        result: NDArray[np.float64] = (all_as_one * all_as_one).sum(axis=1).astype(np.float64)
        result -= nearest + self.outside * left
        return result


def energy(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Logarithm of the sum of the exponentials of each row: the negative free energy (Liu et al. 2020)."""
    return logsumexp(logits)


def known_scores(
    rule: Unknown, logits: NDArray[np.floating], distance: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """The score that ``rule.threshold`` is for, by the methods ``energy`` and ``energy_mahalanobis``.

    Args:
        rule: With the scales that its method needs.
        logits: ``[N, C]``, divided by the temperature.
        distance: What :meth:`FeatureDistance.score` says; not used by ``energy``.
    """
    assert rule.energy is not None
    scores: NDArray[np.float64] = (energy(logits) - rule.energy.mean) / rule.energy.deviation
    if rule.method == "energy_mahalanobis":
        assert rule.distance is not None
        assert distance is not None
        scores = scores + (distance - rule.distance.mean) / rule.distance.deviation
    return scores


def squashed(scores: NDArray[np.float64], threshold: float) -> NDArray[np.float64]:
    """Scores in [0, 1], with 0.5 at the threshold."""
    result: NDArray[np.float64] = 0.5 * (1.0 + np.tanh((scores - threshold) / 2.0))
    return result


def unit_length(embeddings: NDArray[np.floating]) -> NDArray[np.float32]:
    """Each row divided by its length; a row of zeros stays one."""
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    result: NDArray[np.float32] = (embeddings / np.where(lengths > 0, lengths, 1.0)).astype(np.float32)
    return result
