"""The linear head: how strong, which blend and how sure is decided on photos that a fit has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from animal_classification.evaluation.calibration import calibrated, fit_temperature
from animal_classification.training.probe.blas import one_thread
from animal_classification.training.probe.linear_models import EmbeddedPhotos, LinearHead, LinearModels, blended
from animal_classification.training.probe.logistic_regression import Floats

Blend = tuple[float, float, float]

# How much each opinion counts: logistic regression, discriminant analysis, the backbone's own classes.
BLENDS: tuple[Blend, ...] = ((1.0, 0.0, 0.0), (1.0, 1.0, 0.0), (1.0, 0.0, 0.3), (1.0, 1.0, 0.3))
# Where nothing can be judged.
_USUAL = BLENDS[-1]
# The logit of a class that no photo of was learned from.
NEVER = -1e9


@dataclass(frozen=True)
class HeadSettings:
    """What cross-validation says.

    Attributes:
        strength: Of the regularisation.
        blend: One of ``BLENDS``.
        temperature: At which logits out of fold fit the labels best.
        loss: There, in nats; NaN where no photo could be judged, because every class has one only.
        accuracy: Of the same.
        positions: Photos that were judged, ``[M]``.
        logits: Theirs out of fold, not divided by the temperature, ``[M, C]``.
    """

    strength: float
    blend: Blend
    temperature: float
    loss: float
    accuracy: float
    positions: NDArray[np.int64]
    logits: Floats


def fit(examples: EmbeddedPhotos, choice: HeadSettings) -> LinearHead:
    """The head, fitted to all examples."""
    with one_thread():
        everything = LinearModels(examples, np.ones(len(examples.targets), dtype=bool))
        return blended(everything.at(choice.strength), choice.blend)


def choose(
    examples: EmbeddedPhotos, folds: NDArray[np.int64], strengths: Sequence[float], *, workers: int
) -> HeadSettings:
    """Choose by the loss on photos that a fit has not seen, from the strongest regularisation down to the best.

    Args:
        examples: The photos.
        folds: Number of the fold that does not learn from a photo, ``[N]``.
        strengths: To choose from.
        workers: Folds that are fitted side by side.
    """
    order = sorted(strengths, reverse=True)
    best: HeadSettings | None = None
    with one_thread(), ThreadPoolExecutor(workers, thread_name_prefix="animals-fit") as pool:
        _ = examples.space, examples.beliefs  # before the threads ask for them
        fits = [_Fold(examples, folds == fold) for fold in np.unique(folds)]
        fits = [fold for fold in fits if fold.possible]
        if not any(fold.judged.any() for fold in fits):
            nobody = np.empty(0, dtype=np.int64), np.empty((0, examples.classes))
            return HeadSettings(order[len(order) // 2], _USUAL, 1.0, float("nan"), float("nan"), *nobody)
        for strength in order:
            found = list(pool.map(lambda fold, strength=strength: fold.logits(strength), fits))
            here = _best_blend(fits, found, strength)
            if best is not None and here.loss >= best.loss:
                break
            best = here
    assert best is not None
    return best


class _Fold:
    """Photos that are answered by a fit to all others."""

    def __init__(self, examples: EmbeddedPhotos, outside: NDArray[np.bool_]) -> None:
        self._examples = examples
        self._opinions = LinearModels(examples, ~outside)
        known = np.unique(examples.targets[~outside])
        self._absent = np.setdiff1d(np.arange(examples.classes), known)
        self.possible = len(known) > 1
        self.targets = examples.targets[outside]
        # A class that is only here cannot be known there.
        self.judged = np.isin(self.targets, known)
        self.positions = np.flatnonzero(outside)[self.judged]

    def logits(self, strength: float) -> list[Floats]:
        """Of every opinion, for the photos that can be judged."""
        embeddings = self._examples.embeddings[self.positions]  # not kept: all folds' together are all photos' again
        found = [head.logits(embeddings) for head in self._opinions.at(strength)]
        for logits in found:
            logits[:, self._absent] = NEVER
        return found


def _best_blend(fits: Sequence[_Fold], found: Sequence[Sequence[Floats]], strength: float) -> HeadSettings:
    targets = np.concatenate([fold.targets[fold.judged] for fold in fits])
    positions = np.concatenate([fold.positions for fold in fits])
    opinions = [np.concatenate(parts) for parts in zip(*found, strict=True)]
    choices = []
    for blend in BLENDS:
        if any(blend[len(opinions) :]):
            continue
        pairs = zip(opinions, blend, strict=False)
        logits = sum((share * logits for logits, share in pairs), start=np.zeros_like(opinions[0]))
        temperature = fit_temperature(logits, targets)
        loss = loss_at(logits, targets, temperature)
        choices.append(HeadSettings(strength, blend, temperature, loss, accuracy(logits, targets), positions, logits))
    return min(choices, key=lambda choice: choice.loss)


def loss_at(logits: Floats, targets: NDArray[np.int64], temperature: float) -> float:
    """Mean cross-entropy in nats."""
    own = calibrated(logits, temperature)[np.arange(len(targets)), targets]
    return -float(np.log(np.maximum(own, 1e-12)).mean())


def accuracy(logits: Floats, targets: NDArray[np.int64]) -> float:
    """Share of right answers."""
    return float((logits.argmax(axis=1) == targets).mean())
