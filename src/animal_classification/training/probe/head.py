"""The linear head: cross-validation chooses its regularisation, its blend of models and its temperature.

Matrices are multiplied on one thread: fold beside fold is faster than several threads in one small matrix, threads wait
for each other for minutes on a busy machine, and the last digits of a sum depend on their number.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from animal_classification.evaluation.calibration import calibrated, fit_temperature
from animal_classification.training.probe.linear_models import EmbeddedPhotos, LinearHead, LinearModels, blended
from animal_classification.training.probe.logistic_regression import Floats

Blend = tuple[float, float, float]

# The weight of each linear model: logistic regression, discriminant analysis, the backbone's own classes.
BLENDS: tuple[Blend, ...] = ((1.0, 0.0, 0.0), (1.0, 1.0, 0.0), (1.0, 0.0, 0.3), (1.0, 1.0, 0.3))
# Without held-out photos.
_DEFAULT_BLEND = BLENDS[-1]
# The logit of a class without training photos.
ABSENT_LOGIT = -1e9


@dataclass(frozen=True)
class HeadSettings:
    """What cross-validation has chosen, and how it does.

    Attributes:
        strength: Strength of the regularisation.
        blend: One of ``BLENDS``.
        temperature: The one that fits out-of-fold logits to the labels best.
        loss: Out-of-fold cross-entropy at that temperature, in nats; NaN where every class has a single photo.
        accuracy: Out-of-fold accuracy.
        positions: Photos with out-of-fold logits, ``[M]``.
        logits: Out-of-fold logits, not divided by the temperature, ``[M, C]``.
    """

    strength: float
    blend: Blend
    temperature: float
    loss: float
    accuracy: float
    positions: NDArray[np.int64]
    logits: Floats


def fit_head(examples: EmbeddedPhotos, settings: HeadSettings) -> LinearHead:
    """The head, fitted to all examples."""
    with threadpool_limits(1, user_api="blas"):
        models = LinearModels(examples, np.ones(len(examples.targets), dtype=bool))
        return blended(models.at(settings.strength), settings.blend)


def cross_validate(
    examples: EmbeddedPhotos, folds: NDArray[np.int64], strengths: Sequence[float], *, workers: int
) -> HeadSettings:
    """Choose by the out-of-fold loss, from the strongest regularisation down until it gets worse.

    Args:
        examples: The photos.
        folds: The fold that holds out each photo, ``[N]``.
        strengths: Strengths of the regularisation.
        workers: Folds that are fitted at the same time.
    """
    order = sorted(strengths, reverse=True)
    best: HeadSettings | None = None
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(workers, thread_name_prefix="animals-fit") as pool:
        _ = examples.space, examples.backbone_probabilities  # computed before the threads need them
        fits = [_Fold(examples, folds == fold) for fold in np.unique(folds)]
        fits = [fold for fold in fits if fold.can_be_fitted]
        if not any(fold.scored.any() for fold in fits):
            nothing = np.empty(0, dtype=np.int64), np.empty((0, examples.classes))
            return HeadSettings(order[len(order) // 2], _DEFAULT_BLEND, 1.0, float("nan"), float("nan"), *nothing)
        for strength in order:
            found = list(pool.map(lambda fold, strength=strength: fold.logits(strength), fits))
            here = _best_blend(fits, found, strength)
            if best is not None and here.loss >= best.loss:
                break
            best = here
    assert best is not None
    return best


def stratified_group_kfold(
    targets: NDArray[np.int64], groups: Sequence[int], keys: Sequence[str], count: int
) -> NDArray[np.int64]:
    """Assign every photo to the fold that holds it out: stratified, groups kept together, no random generator.

    Args:
        targets: Class numbers ``[N]``.
        groups: Photos with the same number stay in one fold, ``[N]``.
        keys: Text that identifies the photo (its hash); decides the order in which photos are assigned.
        count: How many folds.

    Returns:
        ``[N]``, from 0 to ``count - 1``.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    order = sorted(
        members.values(),
        key=lambda unit: (-len(unit), hashlib.sha256(min(keys[index] for index in unit).encode()).digest()),
    )
    classes = int(targets.max()) + 1
    counts = np.zeros((count, classes))
    result = np.empty(len(targets), dtype=np.int64)
    for unit in order:
        wanted = np.bincount(targets[unit], minlength=classes)
        # The fold with the fewest photos of these classes; among equals, the smallest.
        fold = int(np.lexsort((counts.sum(axis=1), counts @ wanted))[0])
        counts[fold] += wanted
        result[unit] = fold
    return result


class _Fold:
    """Held-out photos, and the models that are fitted to all others."""

    def __init__(self, examples: EmbeddedPhotos, held_out: NDArray[np.bool_]) -> None:
        self._examples = examples
        self._models = LinearModels(examples, ~held_out)
        known = np.unique(examples.targets[~held_out])
        self._absent = np.setdiff1d(np.arange(examples.classes), known)
        self.can_be_fitted = len(known) > 1
        self.targets = examples.targets[held_out]
        # A class that only has photos here cannot be predicted.
        self.scored = np.isin(self.targets, known)
        self.positions = np.flatnonzero(held_out)[self.scored]

    def logits(self, strength: float) -> list[Floats]:
        """Logits of each model, for the photos whose class it knows."""
        embeddings = self._examples.embeddings[
            self.positions
        ]  # not kept: those of all folds are as large as all embeddings
        found = [head.logits(embeddings) for head in self._models.at(strength)]
        for logits in found:
            logits[:, self._absent] = ABSENT_LOGIT
        return found


def _best_blend(folds: Sequence[_Fold], found: Sequence[Sequence[Floats]], strength: float) -> HeadSettings:
    targets = np.concatenate([fold.targets[fold.scored] for fold in folds])
    positions = np.concatenate([fold.positions for fold in folds])
    models = [np.concatenate(parts) for parts in zip(*found, strict=True)]
    choices = []
    for blend in BLENDS:
        if any(blend[len(models) :]):
            continue
        pairs = zip(models, blend, strict=False)
        logits = sum((share * logits for logits, share in pairs), start=np.zeros_like(models[0]))
        temperature = fit_temperature(logits, targets)
        loss = cross_entropy(logits, targets, temperature)
        choices.append(HeadSettings(strength, blend, temperature, loss, accuracy(logits, targets), positions, logits))
    return min(choices, key=lambda choice: choice.loss)


def cross_entropy(logits: Floats, targets: NDArray[np.int64], temperature: float) -> float:
    """Mean cross-entropy in nats."""
    own = calibrated(logits, temperature)[np.arange(len(targets)), targets]
    return -float(np.log(np.maximum(own, 1e-12)).mean())


def accuracy(logits: Floats, targets: NDArray[np.int64]) -> float:
    """Share of right answers."""
    return float((logits.argmax(axis=1) == targets).mean())
