"""The linear head: fitted, its strength chosen and its temperature set on photos that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from animal_classification.training.probe.solving import Floats, Problem, basis, logistic, softmax

_TEMPERATURES = np.exp(np.linspace(np.log(0.05), np.log(5.0), 93))


@dataclass(frozen=True)
class Examples:
    """What a head is fitted to.

    Attributes:
        embeddings: ``[N, D]``.
        targets: Class numbers ``[N]``.
        classes: How many there are.
    """

    embeddings: Floats
    targets: NDArray[np.int64]
    classes: int

    def only(self, chosen: NDArray[np.bool_]) -> Examples:
        """Some of them."""
        return Examples(self.embeddings[chosen], self.targets[chosen], self.classes)


@dataclass(frozen=True)
class Head:
    """``logits = embedding @ weight.T + bias``, with ``weight [C, D]`` and ``bias [C]``."""

    weight: Floats
    bias: Floats

    def logits(self, embeddings: Floats) -> Floats:
        """``[N, C]`` from ``[N, D]``."""
        result: Floats = embeddings @ self.weight.T + self.bias
        return result


def fit(examples: Examples, strengths: Sequence[float], *, balance: bool) -> list[Head]:
    """A head for each strength."""
    mean, spread = examples.embeddings.mean(axis=0), examples.embeddings.std(axis=0)
    spread = np.where(spread > 1e-6, spread, 1.0)
    rows = (examples.embeddings - mean) / spread
    directions = basis(rows)
    problem = Problem(rows @ directions, examples.targets, _weights(examples, balance), examples.classes)
    heads, start = [], None
    for strength in sorted(strengths, reverse=True):
        start = logistic(problem, strength, start=start)
        weight = (directions @ start[:-1]).T / spread
        heads.append(Head(weight, start[-1] - weight @ mean))
    return [heads[sorted(strengths, reverse=True).index(strength)] for strength in strengths]


@dataclass(frozen=True)
class Choice:
    """What cross-validation says.

    Attributes:
        strength: The best.
        temperature: At which its logits out of fold fit the labels best.
        logits: Out of fold, not divided by the temperature, of the photos that ``judged`` marks.
        judged: Which photos could be judged, ``[N]``.
        loss: There, in nats; NaN where no photo could be judged, because every class has one only.
        accuracy: Of the same.
    """

    strength: float
    temperature: float
    loss: float
    accuracy: float
    logits: Floats
    judged: NDArray[np.bool_]


def choose(examples: Examples, folds: NDArray[np.int64], strengths: Sequence[float], *, balance: bool) -> Choice:
    """Choose the strength by the loss on photos that a head has not seen."""
    logits = np.zeros((len(strengths), len(examples.targets), examples.classes))
    judged = np.zeros(len(examples.targets), dtype=bool)
    for fold in np.unique(folds):
        inside, outside = examples.only(folds != fold), folds == fold
        # A class that is only here cannot be known there.
        judged |= outside & np.isin(examples.targets, inside.targets)
        if len(np.unique(inside.targets)) < 2:
            continue
        for index, head in enumerate(fit(inside, strengths, balance=balance)):
            logits[index, outside] = head.logits(examples.embeddings[outside])
    if not judged.any():
        nothing = logits[0][judged]
        return Choice(sorted(strengths)[len(strengths) // 2], 1.0, float("nan"), float("nan"), nothing, judged)
    targets = examples.targets[judged]
    fits = [temperature_of(found[judged], targets) for found in logits]
    best = int(np.argmin([loss for _, loss in fits]))
    own = logits[best][judged]
    return Choice(strengths[best], *fits[best], accuracy(own, targets), own, judged)


def temperature_of(logits: Floats, targets: NDArray[np.int64]) -> tuple[float, float]:
    """The temperature at which logits fit the labels best, and the loss there."""
    losses = [loss_at(logits, targets, float(temperature)) for temperature in _TEMPERATURES]
    best = int(np.argmin(losses))
    return float(_TEMPERATURES[best]), losses[best]


def loss_at(logits: Floats, targets: NDArray[np.int64], temperature: float) -> float:
    """Mean cross-entropy in nats."""
    own = softmax(logits / temperature)[np.arange(len(targets)), targets]
    return -float(np.log(np.maximum(own, 1e-12)).mean())


def accuracy(logits: Floats, targets: NDArray[np.int64]) -> float:
    """Share of right answers."""
    return float((logits.argmax(axis=1) == targets).mean())


def _weights(examples: Examples, balance: bool) -> Floats:
    if not balance:
        return np.full(len(examples.targets), 1 / len(examples.targets))
    weights = 1.0 / np.bincount(examples.targets)[examples.targets]
    result: Floats = weights / weights.sum()
    return result
