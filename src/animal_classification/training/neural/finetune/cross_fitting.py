"""What layers that have learned say of photos that they have not learned from: each half is asked about the other.

Cross-fitting, as the head has it with its folds; of layers two fits are affordable, five are not. Each half learns from
half of the photos only, so that its answers are a little worse than those of the network that is kept: thresholds and
prediction sets err towards the careful side.
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
    begin,
    copied,
    fit_layers,
)
from animal_classification.training.neural.image_cache import ImageSubset
from animal_classification.training.neural.network_outputs import answers, spread
from animal_classification.training.probe.head import NEVER

if TYPE_CHECKING:
    from animal_classification.config.schema import FinetuneConfig
    from animal_classification.training.recipe import RecipeInputs

_HALVES = 2


@dataclass(frozen=True)
class CrossFitAnswers:
    """Answers for the photos that could be judged, one after the other.

    Attributes:
        held_out: By the layers that have learned.
        head_logits: By the head alone, fitted to the same halves, ``[M, C]``.
    """

    held_out: HeldOut
    head_logits: NDArray[np.float32]

    def losses(self) -> tuple[Tensor, Tensor]:
        """Of the head alone and of the layers, in nats, each ``[M]`` and at the temperature that suits it."""
        targets = self.held_out.targets
        return losses(self.head_logits, targets), losses(np.asarray(self.held_out.logits), targets)


def fit_halves(job: RecipeInputs, config: FinetuneConfig, stand: FitState, epochs: int) -> CrossFitAnswers:
    """Let each half of the training photos learn, and ask it about the other half.

    The network's weights are afterwards what they were.
    """
    before = copied(stand.learner)
    folds = stand.learned.folds(_HALVES)
    untold = replace(job, tracker=NoTracker())  # these epochs are no part of the run's curves
    parts = []
    for fold in range(_HALVES):
        inside = np.flatnonzero(folds != fold)
        known = np.unique(stand.learned.targets[inside])
        # A class that is only in the other half cannot be known here.
        asked = np.flatnonzero((folds == fold) & np.isin(stand.learned.targets, known))
        if len(known) > 1 and len(asked):
            schedule = Schedule(stage=f"half{fold}", epochs=epochs)
            parts.append(_fit_half(untold, config, stand, _Half(inside, asked), schedule))
        stand.learner.load_state_dict(before)
    return _joined(parts, stand.photos.classes)


def losses(logits: NDArray[np.floating], targets: NDArray[np.integer]) -> Tensor:
    """In nats, of each photo, at the temperature that suits them all."""
    scaled = torch.from_numpy(np.asarray(logits, dtype=np.float32) / fit_temperature(logits, targets))
    return functional.cross_entropy(scaled, torch.from_numpy(np.asarray(targets)), reduction="none")


@dataclass(frozen=True)
class _Half:
    """Positions of the photos that one half learns from, and of those that it is asked about."""

    learned: NDArray[np.int64]
    asked: NDArray[np.int64]


def _fit_half(
    job: RecipeInputs, config: FinetuneConfig, stand: FitState, sides: _Half, schedule: Schedule
) -> CrossFitAnswers:
    half, asked = _half(stand, sides.learned), sides.asked
    begin(config, half)
    head_alone = answers(half.learner, stand.photos.train, asked)["logits"]
    fit_layers(job, config, half, schedule)
    found = answers(half.learner, stand.photos.train, asked)
    absent = np.setdiff1d(np.arange(stand.photos.classes), half.learned.targets)
    for logits in (head_alone, found["logits"]):
        logits[:, absent] = NEVER
    held_out = HeldOut(
        logits=found["logits"],
        targets=stand.learned.targets[asked],
        embedding=found["embedding"],
        distance=_distance(half, found["embedding"]),
        units=stand.learned.units[asked],
    )
    return CrossFitAnswers(held_out, head_alone)


def _half(stand: FitState, positions: NDArray[np.int64]) -> FitState:
    learned, photos = stand.learned.at(positions), stand.photos
    return replace(
        stand,
        learned=learned,
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
    targets = half.learned.targets
    chosen = spread(targets)
    own = answers(half.learner, half.photos.train, chosen)["embedding"]
    distance = fit_distance(own, targets[chosen], half.photos.classes)
    return np.full(len(embedding), np.nan) if distance is None else distance.score(embedding)


def _joined(parts: list[CrossFitAnswers], classes: int) -> CrossFitAnswers:
    if not parts:
        nobody = np.empty((0, classes), dtype=np.float32)
        empty = np.empty(0, dtype=np.int64)
        return CrossFitAnswers(HeldOut(logits=nobody, targets=empty, embedding=nobody, units=empty), nobody)
    names = ("logits", "targets", "embedding", "distance", "units")
    whole = {name: np.concatenate([getattr(part.held_out, name) for part in parts]) for name in names}
    return CrossFitAnswers(HeldOut(**whole), np.concatenate([part.head_logits for part in parts]))
