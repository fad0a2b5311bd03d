"""Three linear classifiers of embeddings. Their mistakes differ, so a blend of them is better than each.

1. Regularised multinomial logistic regression.
2. Discriminant analysis with a covariance that is shrunk towards a sphere (Friedman 1989; Ledoit and Wolf 2004).
3. The backbone's own classes, by how probable they are for photos of each new class.

Each is linear in the embedding, and so is their sum: class-activation maps stay possible.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from animal_classification.common.softmax import softmax
from animal_classification.training.probe.logistic_regression import (
    Floats,
    LogisticProblem,
    fit_logistic,
    principal_directions,
)

# More principal components of the embeddings only take more time.
DIMENSIONS = 512
SHRINKAGE = 0.2
# A channel that is nearly constant on these photos may vary on others, and must not decide alone then: no standard
# deviation counts as less than this share of the median one.
QUIET = 0.1
_STILL = 1e-6  # a channel with a smaller standard deviation is constant


@dataclass(frozen=True)
class LinearHead:
    """``logits = embedding @ weight.T + bias``, with ``weight [C, D]`` and ``bias [C]``."""

    weight: Floats
    bias: Floats

    def logits(self, embeddings: Floats) -> Floats:
        """``[N, C]`` from ``[N, D]``."""
        result: Floats = embeddings @ self.weight.T + self.bias
        return result


@dataclass(frozen=True)
class EmbeddedPhotos:
    """What a head is fitted to.

    Attributes:
        embeddings: ``[N, D]``.
        targets: Class numbers ``[N]``.
        classes: How many there are.
        backbone: The backbone's linear layer for its own ``K`` classes, if it has one.
        balance: Rare classes count as much as frequent ones.
    """

    embeddings: Floats
    targets: NDArray[np.int64]
    classes: int
    backbone: LinearHead | None = None
    balance: bool = True

    @cached_property
    def space(self) -> WhitenedSpace:
        """Where the solvers work."""
        return WhitenedSpace.of(self.embeddings)

    @cached_property
    def backbone_probabilities(self) -> Floats | None:
        """Of its own classes, ``[N, K]``."""
        return None if self.backbone is None else softmax(self.backbone.logits(self.embeddings))


@dataclass(frozen=True)
class WhitenedSpace:
    """Standardised embeddings in their principal directions, which suits the solvers. Uses no labels.

    Attributes:
        mean: ``[D]``.
        spread: ``[D]``.
        directions: ``[D, R]``.
        rows: All examples, ``[N, R]``.
    """

    mean: Floats
    spread: Floats
    directions: Floats
    rows: Floats

    @classmethod
    def of(cls, embeddings: Floats) -> WhitenedSpace:
        """The space of these examples ``[N, D]``."""
        mean, spread = embeddings.mean(axis=0), embeddings.std(axis=0)
        spread = np.maximum(spread, QUIET * np.median(spread))
        spread = np.where(spread > _STILL, spread, 1.0)
        rows = embeddings - mean
        rows /= spread  # in place: with many photos, each copy takes hundreds of megabytes
        directions = principal_directions(rows, width=DIMENSIONS)
        return cls(mean, spread, directions, rows @ directions)

    def head(self, weight: Floats, bias: Floats) -> LinearHead:
        """From ``[R, C]`` and ``[C]`` back to embeddings."""
        back = (self.directions @ weight).T / self.spread
        return LinearHead(back, bias - back @ self.mean)


class LinearModels:
    """The three models, fitted to some of the examples.

    Args:
        examples: All.
        chosen: Which of them to fit to, bool ``[N]``.
    """

    def __init__(self, examples: EmbeddedPhotos, chosen: NDArray[np.bool_]) -> None:
        self._examples = examples
        self._chosen = chosen
        self._rows = examples.space.rows[chosen]
        self._targets = examples.targets[chosen]
        self._counts = np.bincount(self._targets, minlength=examples.classes)
        self._start: Floats | None = None

    def at(self, strength: float) -> list[LinearHead]:
        """All models on one scale, the first at this strength of regularisation; starts from the last call's solution.

        The third is missing where the backbone has no classes of its own.
        """
        return [self._scaled(self._logistic(strength)), *self._others]

    @cached_property
    def _others(self) -> list[LinearHead]:
        found = [self._discriminant(), self._from_backbone()]
        return [self._scaled(head) for head in found if head is not None]

    def _logistic(self, strength: float) -> LinearHead:
        examples = self._examples
        weights = 1.0 / self._counts[self._targets] if examples.balance else np.ones(len(self._targets))
        problem = LogisticProblem(self._rows, self._targets, weights / weights.sum(), examples.classes)
        self._start = fit_logistic(problem, strength, start=self._start)
        return examples.space.head(self._start[:-1], self._start[-1])

    def _discriminant(self) -> LinearHead:
        classes, width = self._examples.classes, self._rows.shape[1]
        member = np.zeros((classes, len(self._targets)))
        member[self._targets, np.arange(len(self._targets))] = 1
        means = member @ self._rows / np.maximum(self._counts, 1)[:, None]
        freedom = len(self._targets) - int((self._counts > 0).sum())
        inside = self._rows - means[self._targets] if freedom > 0 else self._rows
        covariance = inside.T @ inside / max(freedom, 1)
        size = max(float(np.trace(covariance)) / width, _STILL)
        covariance = (1 - SHRINKAGE) * covariance + SHRINKAGE * size * np.eye(width)
        weight = np.linalg.solve(covariance, means.T)
        bias = -0.5 * (means.T * weight).sum(axis=0)
        if not self._examples.balance:
            bias += np.log(np.maximum(self._counts, 0.5))
        return self._examples.space.head(weight, bias)

    def _from_backbone(self) -> LinearHead | None:
        backbone, probabilities = self._examples.backbone, self._examples.backbone_probabilities
        if backbone is None or probabilities is None:
            return None
        together = np.zeros((self._examples.classes, probabilities.shape[1]))
        np.add.at(together, self._targets, probabilities[self._chosen])
        together /= np.maximum(self._counts, 1)[:, None]
        return LinearHead(together @ backbone.weight, together @ backbone.bias)

    def _scaled(self, head: LinearHead) -> LinearHead:
        logits = head.logits(self._examples.embeddings)[self._chosen]  # a copy of logits is smaller than of embeddings
        spread = max(float((logits - logits.mean(axis=1, keepdims=True)).std()), _STILL)
        return LinearHead(head.weight / spread, head.bias / spread)


def blended(heads: list[LinearHead], weights: tuple[float, ...]) -> LinearHead:
    """The weighted sum; heads that are missing at the end count as zero."""
    pairs = list(zip(heads, weights, strict=False))
    weight = sum((share * head.weight for head, share in pairs), start=np.zeros_like(heads[0].weight))
    bias = sum((share * head.bias for head, share in pairs), start=np.zeros_like(heads[0].bias))
    return LinearHead(weight, bias)
