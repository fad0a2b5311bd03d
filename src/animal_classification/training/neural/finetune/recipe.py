"""The recipe ``finetune``: a pretrained network with the probe's head, then its layers, the later ones faster.

On a CPU the early stages are frozen, and their output for each photo is computed once; an epoch of the rest takes
seconds. Val, or cross-fitting without one, decides how many epochs there are and whether layers learn at all; then
train and val are learned from together. Calibration, prediction sets and the rule for unknown photos come from held-out
photos: out of fold where only the head is fitted, else by cross-fitting.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animal_classification.bundle import Calibration
from animal_classification.config.schema import FinetuneConfig
from animal_classification.evaluation.calibration import fit_temperature
from animal_classification.evaluation.fit_postprocessing import HeldOut
from animal_classification.imaging import PreprocessSpec
from animal_classification.taxonomy.class_labels import labels_of
from animal_classification.training.neural.cnn import load_photos
from animal_classification.training.neural.device import accelerator, prepare_torch
from animal_classification.training.neural.finetune.cross_fitting import fit_halves, losses
from animal_classification.training.neural.finetune.features import Features, features_of
from animal_classification.training.neural.finetune.layer_training import (
    FitState,
    Schedule,
    copy_weights,
    fit_layers,
    start_from_head,
)
from animal_classification.training.neural.finetune.network import split_backbone
from animal_classification.training.neural.finetune.probe_head import EmbeddedSplit, FittedHead
from animal_classification.training.neural.finetune.timm_backbone import load_backbone
from animal_classification.training.neural.fit_plan import FitPhotos
from animal_classification.training.neural.image_cache import ConcatImages, ImageSubset
from animal_classification.training.neural.leader import leading
from animal_classification.training.neural.network import network_outputs, reference_photos
from animal_classification.training.neural.onnx_export import export
from animal_classification.training.neural.team import team_of
from animal_classification.training.recipe import RecipeInputs, TrainedModel

if TYPE_CHECKING:
    from animal_classification.training.neural.finetune.timm_backbone import TimmBackbone


@dataclass(frozen=True, kw_only=True)
class ValidationScores:
    """How the network's present weights do on val.

    Attributes:
        losses: In nats, of each photo ``[N]``, at the temperature that suits the logits best.
        metrics: ``val/loss`` and ``val/accuracy``.
    """

    losses: Tensor
    metrics: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class FinetuneResult:
    """What was decided about the layers.

    Attributes:
        epoch: The best; 0 where only the head is fitted.
        last_step: The last epoch that was logged; 0 for none.
        metrics: Of the best epoch.
        start: The head that the layers start from.
        held_out: Logits of held-out photos, where they are known already.
    """

    epoch: int
    last_step: int
    metrics: Mapping[str, float]
    start: FittedHead
    held_out: HeldOut | None = None


def train(job: RecipeInputs) -> TrainedModel:
    """Fine-tune.

    Raises:
        UsageError: There is no such network, its weights cannot be had, or it cannot be cut there.
        AnimalsError: A photo vanished, the loss is not a number any more, or a checkpoint cannot be written.
    """
    config = job.config.recipe
    assert isinstance(config, FinetuneConfig)
    prepare_torch(job.config.trainer)
    torch.manual_seed(job.config.seed)
    with leading(job.config.trainer) as team:
        shared = replace(job, team=team)
        state = _prepare(shared, config, load_backbone(job.config.backbone))
        state, tuned, held_out = _tune(shared, config, state, copy_weights(state.learner))
    return _trained_model(job, state, tuned, held_out)


def _tune(
    job: RecipeInputs, config: FinetuneConfig, state: FitState, pretrained: Mapping[str, Tensor]
) -> tuple[FitState, FinetuneResult, HeldOut]:
    """All fits: what was decided, and the network with its final weights."""
    by_val = len(state.photos.val) > 0
    tuned = _tune_by_val(job, config, state) if by_val else _tune_by_halves(job, config, state)
    if config.refit or not by_val:
        state.learner.load_state_dict(pretrained)
        state = _merge_val(state) if by_val else state
        tuned = _refit(job, config, state, tuned)
    return state, tuned, tuned.held_out or _held_out(job, config, state, tuned, pretrained)


def _prepare(job: RecipeInputs, config: FinetuneConfig, backbone: TimmBackbone) -> FitState:
    dataset, classes = job.dataset, len(job.dataset.classes)
    spec = PreprocessSpec(**backbone.preprocess.model_dump())
    freeze = None if config.freeze == "auto" else config.freeze
    if config.freeze == "auto" and accelerator(job.config.trainer) != "cpu":
        freeze = 0  # there a whole network learns in the time that this needs a part of it here
    network = split_backbone(backbone, freeze, classes=classes, drop=config.drop)
    photos = len(dataset.train) + len(dataset.val)
    if config.freeze == "auto" and photos * network.bytes_per_photo > job.config.trainer.cache_bytes:
        network = split_backbone(backbone, 0, classes=classes, drop=config.drop)
    train_features, val_features = (
        features_of(
            part.files,
            network,
            spec,
            mirrored=config.epochs > 0,  # the head is fitted to photos as they are
            keep=job.run.checkpoints / f"{name}.npz",
            progress=job.progress,
        )
        for name, part in (("train", dataset.train), ("val", dataset.val))
    )
    loaded = FitPhotos(
        train=_shared(job, train_features, "train"),
        train_targets=dataset.train.targets,
        val=_shared(job, val_features, "val"),
        val_targets=dataset.val.targets,
        classes=classes,
    )
    if not len(network.trunk):
        loaded = load_photos(job, spec)
    return FitState(
        network=network,
        train=EmbeddedSplit.of(dataset.train, dataset.units, train_features.embeddings),
        val=EmbeddedSplit.of(dataset.val, dataset.units, val_features.embeddings),
        photos=loaded,
        spec=spec,
    )


def _shared(job: RecipeInputs, features: Features, name: str) -> Features:
    """Where other processes can have them, if there are others."""
    return features if team_of(job).shard.alone else features.mapped(job.run.checkpoints / f"{name}-activations.npy")


def _tune_by_val(job: RecipeInputs, config: FinetuneConfig, state: FitState) -> FinetuneResult:
    """Fit head and layers to train; val decides how many epochs, and whether the layers are kept."""
    start = start_from_head(config, state)
    before = _validate(state)
    if config.epochs == 0:
        return FinetuneResult(epoch=0, last_step=0, metrics=before.metrics, start=start)
    untuned = copy_weights(state.learner)
    fitted = fit_layers(job, config, state, Schedule(stage="tune", epochs=config.epochs))
    after = _validate(state)
    if not _clearly_better(before.losses, after.losses):
        state.learner.load_state_dict(untuned)
        return FinetuneResult(epoch=0, last_step=fitted.epochs, metrics=before.metrics, start=start)
    metrics = {**fitted.metrics, **after.metrics}
    return FinetuneResult(epoch=fitted.epoch, last_step=fitted.epochs, metrics=metrics, start=start)


def _tune_by_halves(job: RecipeInputs, config: FinetuneConfig, state: FitState) -> FinetuneResult:
    """Where there is no val: all epochs if they make each half better for the other half's photos, or none."""
    start = start_from_head(config, state)
    if config.epochs:
        halves = fit_halves(job, config, state, config.epochs)
        if len(halves.held_out.targets) and _clearly_better(*halves.losses()):
            held_out = halves.held_out
            return FinetuneResult(
                epoch=config.epochs, last_step=0, metrics=_metrics(held_out), start=start, held_out=held_out
            )
    return FinetuneResult(epoch=0, last_step=0, metrics=_metrics(start.held_out), start=start)


def _refit(job: RecipeInputs, config: FinetuneConfig, state: FitState, tuned: FinetuneResult) -> FinetuneResult:
    """With the number of epochs known, from the pretrained weights again."""
    start, last_step = start_from_head(config, state), tuned.last_step
    if tuned.epoch:
        first = config.epochs if last_step else 0
        schedule = Schedule(stage="refit", epochs=tuned.epoch, first_epoch=first)
        last_step = first + fit_layers(job, config, state, schedule).epochs
    return replace(tuned, start=start, last_step=last_step)


def _held_out(
    job: RecipeInputs, config: FinetuneConfig, state: FitState, tuned: FinetuneResult, pretrained: Mapping[str, Tensor]
) -> HeldOut:
    """Logits of the training photos by networks that have not learned from them."""
    if tuned.epoch == 0:
        return tuned.start.held_out
    final = copy_weights(state.learner)
    state.learner.load_state_dict(pretrained)
    held_out = fit_halves(job, config, state, tuned.epoch).held_out
    state.learner.load_state_dict(final)
    return held_out


def _clearly_better(before: Tensor, after: Tensor) -> bool:
    """Whether losses of the same photos fell by more than one standard error.

    The head was chosen by cross-validation over all of train, and val is small: without a margin in the head's favour,
    a lucky val would often pick worse layers.
    """
    gains = before - after
    if len(gains) < 2:
        return False
    return float(gains.mean()) > float(gains.std()) / math.sqrt(len(gains))


def _validate(state: FitState) -> ValidationScores:
    """Measure the network on val."""
    targets = state.photos.val_targets
    logits = network_outputs(state.learner, state.photos.val, np.arange(len(targets)))["logits"]
    found = losses(logits, targets)
    accuracy = float((logits.argmax(axis=1) == targets).mean())
    return ValidationScores(losses=found, metrics={"val/loss": float(found.mean()), "val/accuracy": accuracy})


def _metrics(held_out: HeldOut) -> dict[str, float]:
    """Loss and accuracy of held-out photos; empty where there are none."""
    logits, targets = np.asarray(held_out.logits), held_out.targets
    if not len(targets):
        return {}
    accuracy = float((logits.argmax(axis=1) == targets).mean())
    return {"val/loss": float(losses(logits, targets).mean()), "val/accuracy": accuracy}


def _merge_val(state: FitState) -> FitState:
    """Train and val as one; no val."""
    photos = state.photos
    learned = state.train.followed_by(state.val)
    joined = FitPhotos(
        train=ConcatImages(photos.train, photos.val),
        train_targets=learned.targets,
        val=ImageSubset(photos.val, np.empty(0, dtype=np.int64)),
        val_targets=photos.val_targets[:0],
        classes=photos.classes,
    )
    return replace(state, train=learned, val=state.val.at(np.empty(0, dtype=np.int64)), photos=joined)


def _trained_model(job: RecipeInputs, state: FitState, tuned: FinetuneResult, held_out: HeldOut) -> TrainedModel:
    job.progress("exporting", 0, 1)
    targets = state.photos.train_targets
    chosen = reference_photos(targets)
    embedding: NDArray[np.float32] = network_outputs(state.learner, state.photos.train, chosen)["embedding"]
    model = export(state.network.eval(), state.spec.size)
    job.progress("exporting", 1, 1)
    return TrainedModel(
        model=model,
        labels=labels_of(job.dataset.classes),
        preprocess=state.network.preprocess,
        calibration=Calibration(temperature=fit_temperature(held_out.logits, held_out.targets)),
        photos=len(targets),
        reference={"embedding": embedding, "label": targets[chosen]},
        metrics={**tuned.metrics, "epoch": float(tuned.epoch)},
        last_step=max(1, tuned.last_step),
        held_out=held_out,
        learned_from=tuple(state.train.rows[index] for index in chosen),
    )
