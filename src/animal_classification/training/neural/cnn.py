"""The recipe ``cnn``: the students' AnimalClassificationCNN, trained from scratch."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import torch

from animal_classification.common.limits import available_cpus
from animal_classification.config.schema import CnnConfig
from animal_classification.errors import UsageError
from animal_classification.imaging import PreprocessSpec
from animal_classification.training.dataset import cache_folder
from animal_classification.training.neural import optimizers
from animal_classification.training.neural.augmentation import augment
from animal_classification.training.neural.device import prepare_torch
from animal_classification.training.neural.fit import fit
from animal_classification.training.neural.fit_plan import FitPhotos, FitPlan, Fitted
from animal_classification.training.neural.image_cache import Decoding, open_pixels
from animal_classification.training.neural.leader import leading
from animal_classification.training.neural.network import AnimalClassificationCNN
from animal_classification.training.neural.package import trained_model
from animal_classification.training.neural.team import team_of
from animal_classification.training.recipe import RecipeInputs, TrainedModel

if TYPE_CHECKING:
    from animal_classification.training.dataset import Dataset

_STUDENTS_SIZE, _SMALLEST_SIZE, _STEP = 128, 16, 4


def train(job: RecipeInputs) -> TrainedModel:
    """Fit the network to train, choose the epoch by val.

    Raises:
        UsageError: The photos' size leaves nothing after the convolutions.
        AnimalsError: A photo vanished, the loss is not a number any more, or a checkpoint cannot be written.
    """
    config = job.config.recipe
    assert isinstance(config, CnnConfig)
    size = choose_size(job.dataset) if config.size == "auto" else config.size
    if size < 2 ** len(config.channels):
        raise UsageError(
            f"recipe.size={size} is halved {len(config.channels)} times, which leaves nothing; it must be at least "
            f"{2 ** len(config.channels)}, or recipe.channels shorter"
        )
    prepare_torch(job.config.trainer)
    spec = PreprocessSpec(size=size, crop_pct=1.0, interpolation="bicubic")
    with leading(job.config.trainer) as team:
        network, photos, fitted = _fitted(replace(job, team=team), config, spec)
    return trained_model(job, network, fitted, photos, spec)


def _fitted(
    job: RecipeInputs, config: CnnConfig, spec: PreprocessSpec
) -> tuple[AnimalClassificationCNN, FitPhotos, Fitted]:
    photos = load_photos(job, spec)
    torch.manual_seed(job.config.seed)
    network = AnimalClassificationCNN(
        photos.classes, size=spec.size, channels=config.channels, hidden=config.hidden, dropout=config.dropout
    )
    plan = FitPlan(
        epochs=config.epochs,
        batch_size=config.batch_size,
        label_smoothing=config.label_smoothing,
        balance=config.balance,
        augment=partial(augment, strength=config.augment) if config.augment else None,
    )
    groups = optimizers.groups(network.parameters(), job.config.optim)
    return network, photos, fit(job, network, groups, photos, plan)


def choose_size(dataset: Dataset) -> int:
    """128, as the students had it; smaller where every photo is: large enough that none is made smaller."""
    sides = [max(row.width or 0, row.height or 0) for part in (dataset.train, dataset.val) for row in part.rows]
    largest = max(sides, default=0) or _STUDENTS_SIZE
    return min(_STUDENTS_SIZE, max(_SMALLEST_SIZE, -(-largest // _STEP) * _STEP))


def load_photos(job: RecipeInputs, spec: PreprocessSpec) -> FitPhotos:
    """Train and val, decoded."""
    dataset, trainer, team = job.dataset, job.config.trainer, team_of(job)
    workers = trainer.threads or available_cpus()
    train_pixels, val_pixels = open_pixels(
        (dataset.train, dataset.val),
        spec,
        cache=cache_folder(job.config.data),
        limit=trainer.cache_bytes,
        decoding=Decoding(
            workers=max(1, workers // team.placement.local_world),
            progress=job.progress,
            share=None if team.shard.alone else team.decode,
        ),
    )
    return FitPhotos(
        train=train_pixels,
        train_targets=dataset.train.targets,
        val=val_pixels,
        val_targets=dataset.val.targets,
        classes=len(dataset.classes),
    )
