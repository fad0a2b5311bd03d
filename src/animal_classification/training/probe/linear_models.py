"""Three linear classifiers of embeddings, fitted to some photos. Their mistakes differ, so that a blend is better.

1. Multinomial logistic regression, regularised.
2. Discriminant analysis with a covariance that is shrunk towards a sphere (Friedman 1989; Ledoit and Wolf 2004).
3. What the backbone said before: how often its own classes go together with the new ones.

Each is linear in the embedding, and so is their sum: class-activation maps stay possible.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from animal_classification.common.softmax import softmax
from animal_classification.training.probe.logistic_regression import Floats, Problem, basis, logistic

# Beyond so many principal components of the embeddings nothing changes but the time.
DIMENSIONS = 512
SHRINKAGE = 0.2
# A channel that hardly moves on these photos may move on others, and must not decide alone then: no spread counts as
# less than this share of the usual one.
QUIET = 0.1
_STILL = 1e-6  # a spread below it is no spread


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
        backbone: What the backbone makes of embeddings, ``K`` logits of its own classes, if it has such a layer.
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
    def beliefs(self) -> Floats | None:
        """The backbone's probabilities ``[N, K]``."""
        return None if self.backbone is None else softmax(self.backbone.logits(self.embeddings))


@dataclass(frozen=True)
class WhitenedSpace:
    """Coordinates that suit a solver: embeddings standardised, in their principal directions. Knows no label.

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
        directions = basis(rows, width=DIMENSIONS)
        return cls(mean, spread, directions, rows @ directions)

    def head(self, weight: Floats, bias: Floats) -> LinearHead:
        """From ``[R, C]`` and ``[C]`` back to embeddings."""
        back = (self.directions @ weight).T / self.spread
        return LinearHead(back, bias - back @ self.mean)


class LinearModels:
    """The three, fitted to the examples that are chosen.

    Args:
        examples: All.
        chosen: Which of them to look at, ``[N]``.
    """

    def __init__(self, examples: EmbeddedPhotos, chosen: NDArray[np.bool_]) -> None:
        self._examples = examples
        self._chosen = chosen
        self._rows = examples.space.rows[chosen]
        self._targets = examples.targets[chosen]
        self._counts = np.bincount(self._targets, minlength=examples.classes)
        self._start: Floats | None = None

    def at(self, strength: float) -> list[LinearHead]:
        """At this strength of the first, all brought to one spread; begins where the last call ended.

        The third is missing where the backbone has no classes of its own.
        """
        return [self._even(self._logistic(strength)), *self._others]

    @cached_property
    def _others(self) -> list[LinearHead]:
        found = [self._discriminant(), self._prior()]
        return [self._even(head) for head in found if head is not None]

    def _logistic(self, strength: float) -> LinearHead:
        examples = self._examples
        weights = 1.0 / self._counts[self._targets] if examples.balance else np.ones(len(self._targets))
        problem = Problem(self._rows, self._targets, weights / weights.sum(), examples.classes)
        self._start = logistic(problem, strength, start=self._start)
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

    def _prior(self) -> LinearHead | None:
        backbone, beliefs = self._examples.backbone, self._examples.beliefs
        if backbone is None or beliefs is None:
            return None
        together = np.zeros((self._examples.classes, beliefs.shape[1]))
        np.add.at(together, self._targets, beliefs[self._chosen])
        together /= np.maximum(self._counts, 1)[:, None]
        return LinearHead(together @ backbone.weight, together @ backbone.bias)

    def _even(self, head: LinearHead) -> LinearHead:
        logits = head.logits(self._examples.embeddings)[self._chosen]  # a copy of logits is smaller than of embeddings
        spread = max(float((logits - logits.mean(axis=1, keepdims=True)).std()), _STILL)
        return LinearHead(head.weight / spread, head.bias / spread)


def blended(heads: list[LinearHead], weights: tuple[float, ...]) -> LinearHead:
    """The weighted sum; a head that is missing at the end counts nothing."""
    pairs = list(zip(heads, weights, strict=False))
    weight = sum((share * head.weight for head, share in pairs), start=np.zeros_like(heads[0].weight))
    bias = sum((share * head.bias for head, share in pairs), start=np.zeros_like(heads[0].bias))
    return LinearHead(weight, bias)
