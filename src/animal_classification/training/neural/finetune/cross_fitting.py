"""Cross-fitting: each half of the training photos predicts the other half.

The head does the same with five folds; fitting layers five times would take too long. A network that has learned from
half of the photos is a little worse than the one that is kept, so thresholds and prediction sets are a little cautious.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from animal_classification.evaluation.calibration import fit_temperature
from animal_classification.evaluation.fit_postprocessing import HeldOut
from animal_classification.evaluation.ood import fit_distance
from animal_classification.tracking.tracker import NoTracker
from animal_classification.training.neural.finetune.layer_training import (
    FitState,
    Schedule,
    copy_weights,
    fit_layers,
    start_from_head,
)
from animal_classification.training.neural.image_cache import ImageSubset
from animal_classification.training.neural.network import network_outputs, reference_photos
from animal_classification.training.probe.head import ABSENT_LOGIT

if TYPE_CHECKING:
    from animal_classification.config.schema import FinetuneConfig
    from animal_classification.training.recipe import RecipeInputs

_HALVES = 2


@dataclass(frozen=True)
class CrossFitAnswers:
    """Logits of photos by networks that have not learned from them.

    Attributes:
        held_out: By the fitted layers.
        head_logits: By the head alone, fitted to the same halves, ``[M, C]``.
    """

    held_out: HeldOut
    head_logits: NDArray[np.float32]

    def losses(self) -> tuple[Tensor, Tensor]:
        """Of the head alone and of the layers, in nats, each ``[M]`` and at the temperature that suits it."""
        targets = self.held_out.targets
        return losses(self.head_logits, targets), losses(np.asarray(self.held_out.logits), targets)


def fit_halves(job: RecipeInputs, config: FinetuneConfig, state: FitState, epochs: int) -> CrossFitAnswers:
    """Fit each half of the training photos, and predict the other half.

    The network keeps its weights.
    """
    before = copy_weights(state.learner)
    folds = state.train.folds(_HALVES)
    unlogged = replace(job, tracker=NoTracker())  # these epochs are no part of the run's curves
    parts = []
    for fold in range(_HALVES):
        inside = np.flatnonzero(folds != fold)
        known = np.unique(state.train.targets[inside])
        # A class that is only in the other half cannot be known here.
        predicted = np.flatnonzero((folds == fold) & np.isin(state.train.targets, known))
        if len(known) > 1 and len(predicted):
            schedule = Schedule(stage=f"half{fold}", epochs=epochs)
            parts.append(_fit_half(unlogged, config, state, _Half(inside, predicted), schedule))
        state.learner.load_state_dict(before)
    return _joined(parts, state.photos.classes)


def losses(logits: NDArray[np.floating], targets: NDArray[np.integer]) -> Tensor:
    """In nats, of each photo, at the temperature that suits them all."""
    scaled = torch.from_numpy(np.asarray(logits, dtype=np.float32) / fit_temperature(logits, targets))
    return functional.cross_entropy(scaled, torch.from_numpy(np.asarray(targets)), reduction="none")


@dataclass(frozen=True)
class _Half:
    """Positions of the photos that one half learns from, and of those that it predicts."""

    learned: NDArray[np.int64]
    predicted: NDArray[np.int64]


def _fit_half(
    job: RecipeInputs, config: FinetuneConfig, state: FitState, positions: _Half, schedule: Schedule
) -> CrossFitAnswers:
    half, predicted = _half(state, positions.learned), positions.predicted
    start_from_head(config, half)
    head_alone = network_outputs(half.learner, state.photos.train, predicted)["logits"]
    fit_layers(job, config, half, schedule)
    found = network_outputs(half.learner, state.photos.train, predicted)
    absent = np.setdiff1d(np.arange(state.photos.classes), half.train.targets)
    for logits in (head_alone, found["logits"]):
        logits[:, absent] = ABSENT_LOGIT
    held_out = HeldOut(
        logits=found["logits"],
        targets=state.train.targets[predicted],
        embedding=found["embedding"],
        distance=_distance(half, found["embedding"]),
        units=state.train.units[predicted],
    )
    return CrossFitAnswers(held_out, head_alone)


def _half(state: FitState, positions: NDArray[np.int64]) -> FitState:
    learned, photos = state.train.at(positions), state.photos
    return replace(
        state,
        train=learned,
        photos=replace(
            photos,
            train=ImageSubset(photos.train, positions),
            train_targets=learned.targets,
            val=ImageSubset(photos.train, positions[:0]),
            val_targets=learned.targets[:0],
        ),
    )


def _distance(half: FitState, embedding: NDArray[np.float32]) -> NDArray[np.float64]:
    """Scores of embeddings, in the space that the network has now; NaN where its photos are too few for a distance."""
    targets = half.train.targets
    chosen = reference_photos(targets)
    own = network_outputs(half.learner, half.photos.train, chosen)["embedding"]
    distance = fit_distance(own, targets[chosen], half.photos.classes)
    return np.full(len(embedding), np.nan) if distance is None else distance.score(embedding)


def _joined(parts: list[CrossFitAnswers], classes: int) -> CrossFitAnswers:
    if not parts:
        nothing = np.empty((0, classes), dtype=np.float32)
        empty = np.empty(0, dtype=np.int64)
        return CrossFitAnswers(HeldOut(logits=nothing, targets=empty, embedding=nothing, units=empty), nothing)
    names = ("logits", "targets", "embedding", "distance", "units")
    whole = {name: np.concatenate([getattr(part.held_out, name) for part in parts]) for name in names}
    return CrossFitAnswers(HeldOut(**whole), np.concatenate([part.head_logits for part in parts]))
