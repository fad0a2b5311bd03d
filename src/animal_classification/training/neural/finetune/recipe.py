"""The recipe ``finetune``: a pretrained network, the probe's head on it, and then its layers, the later the faster.

On a CPU the early stages stay as they are, and what they make of each photo is computed once. The rest learns on that,
in seconds for an epoch. How many epochs, and whether layers learn at all, is settled first, by val or, without one, by
cross-fitting; then train and val together are learned from. How sure the answers are, and what is unknown, comes from
photos that were not learned from: out of fold where the head alone stays, else by cross-fitting.
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

from animal_classification.bundle import Calibration, Label
from animal_classification.config.schema import FinetuneConfig
from animal_classification.evaluation.calibration import fit_temperature
from animal_classification.evaluation.fit_postprocessing import HeldOut
from animal_classification.imaging import PreprocessSpec
from animal_classification.training.neural.cnn import load_photos
from animal_classification.training.neural.finetune.cross_fitting import fit_halves, losses
from animal_classification.training.neural.finetune.features import features_of
from animal_classification.training.neural.finetune.layer_training import (
    FitState,
    Schedule,
    begin,
    copied,
    fit_layers,
)
from animal_classification.training.neural.finetune.network import split_backbone
from animal_classification.training.neural.finetune.probe_head import Learned, Start
from animal_classification.training.neural.finetune.timm_backbone import load_backbone
from animal_classification.training.neural.fit import FitPhotos, accelerator, prepare_torch
from animal_classification.training.neural.image_cache import ConcatImages, ImageSubset
from animal_classification.training.neural.network_outputs import answers, spread
from animal_classification.training.neural.onnx_export import export
from animal_classification.training.recipe import RecipeInputs, TrainedModel

if TYPE_CHECKING:
    from animal_classification.training.neural.finetune.timm_backbone import TimmBackbone


@dataclass(frozen=True, kw_only=True)
class ValidationScores:
    """What val says of the network's present weights.

    Attributes:
        losses: In nats, of each photo ``[N]``, at the temperature that suits the logits best.
        metrics: ``val/loss`` and ``val/accuracy``.
    """

    losses: Tensor
    metrics: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class FinetuneResult:
    """What fitting came to.

    Attributes:
        epoch: The best; 0 where the head alone stays.
        last_step: The last epoch that was told to the tracker; 0 for none.
        metrics: Of the best epoch.
        start: Where it began.
        held_out: What was said of photos that were not learned from, where that is known already.
    """

    epoch: int
    last_step: int
    metrics: Mapping[str, float]
    start: Start
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
    stand = _stand(job, config, load_backbone(job.config.backbone))
    pretrained = copied(stand.learner)
    by_val = len(stand.photos.val) > 0
    tuned = _tune_by_val(job, config, stand) if by_val else _tune_by_halves(job, config, stand)
    if config.refit or not by_val:
        stand.learner.load_state_dict(pretrained)
        stand = _together(stand) if by_val else stand
        tuned = _refit(job, config, stand, tuned)
    held_out = tuned.held_out or _held_out(job, config, stand, tuned, pretrained)
    return _trained(job, stand, tuned, held_out)


def _stand(job: RecipeInputs, config: FinetuneConfig, backbone: TimmBackbone) -> FitState:
    dataset, classes = job.dataset, len(job.dataset.classes)
    spec = PreprocessSpec(**backbone.preprocess.model_dump())
    freeze = None if config.freeze == "auto" else config.freeze
    if config.freeze == "auto" and accelerator(job.config.trainer) != "cpu":
        freeze = 0  # there a whole network learns in the time that this needs a part of it here
    network = split_backbone(backbone, freeze, classes=classes, drop=config.drop)
    photos = len(dataset.train) + len(dataset.val)
    if config.freeze == "auto" and photos * network.bytes_kept > job.config.trainer.cache_bytes:
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
        train=train_features,
        train_targets=dataset.train.targets,
        val=val_features,
        val_targets=dataset.val.targets,
        classes=classes,
    )
    if not len(network.trunk):
        loaded = load_photos(job, spec)
    return FitState(
        network=network,
        learned=Learned.of(dataset.train, dataset.units, train_features.embeddings),
        aside=Learned.of(dataset.val, dataset.units, val_features.embeddings),
        photos=loaded,
        spec=spec,
    )


def _tune_by_val(job: RecipeInputs, config: FinetuneConfig, stand: FitState) -> FinetuneResult:
    """Fit head and layers to train; val says how many epochs, and whether the layers are kept."""
    start = begin(config, stand)
    before = _judged(stand)
    if config.epochs == 0:
        return FinetuneResult(epoch=0, last_step=0, metrics=before.metrics, start=start)
    untuned = copied(stand.learner)
    fitted = fit_layers(job, config, stand, Schedule(stage="tune", epochs=config.epochs))
    after = _judged(stand)
    if not _clearly_better(before.losses, after.losses):
        stand.learner.load_state_dict(untuned)
        return FinetuneResult(epoch=0, last_step=fitted.epochs, metrics=before.metrics, start=start)
    metrics = {**fitted.metrics, **after.metrics}
    return FinetuneResult(epoch=fitted.epoch, last_step=fitted.epochs, metrics=metrics, start=start)


def _tune_by_halves(job: RecipeInputs, config: FinetuneConfig, stand: FitState) -> FinetuneResult:
    """Where there is no val: all epochs if they make each half better for the other half's photos, or none."""
    start = begin(config, stand)
    if config.epochs:
        halves = fit_halves(job, config, stand, config.epochs)
        if len(halves.held_out.targets) and _clearly_better(*halves.losses()):
            held_out = halves.held_out
            return FinetuneResult(
                epoch=config.epochs, last_step=0, metrics=_metrics(held_out), start=start, held_out=held_out
            )
    return FinetuneResult(epoch=0, last_step=0, metrics=_metrics(start.held_out), start=start)


def _refit(job: RecipeInputs, config: FinetuneConfig, stand: FitState, tuned: FinetuneResult) -> FinetuneResult:
    """With the number of epochs known, from the pretrained weights again."""
    start, last_step = begin(config, stand), tuned.last_step
    if tuned.epoch:
        first = config.epochs if last_step else 0
        schedule = Schedule(stage="refit", epochs=tuned.epoch, first_epoch=first)
        last_step = first + fit_layers(job, config, stand, schedule).epochs
    return replace(tuned, start=start, last_step=last_step)


def _held_out(
    job: RecipeInputs, config: FinetuneConfig, stand: FitState, tuned: FinetuneResult, pretrained: Mapping[str, Tensor]
) -> HeldOut:
    """What was said of the training photos by networks that had not learned from them."""
    if tuned.epoch == 0:
        return tuned.start.held_out
    final = copied(stand.learner)
    stand.learner.load_state_dict(pretrained)
    held_out = fit_halves(job, config, stand, tuned.epoch).held_out
    stand.learner.load_state_dict(final)
    return held_out


def _clearly_better(before: Tensor, after: Tensor) -> bool:
    """Whether losses of the same photos fell by more than one standard error.

    The head alone was chosen by cross-validation over all of train, val is small: without a doubt in its favour, every
    other lucky val would take layers that are worse.
    """
    gains = before - after
    if len(gains) < 2:
        return False
    return float(gains.mean()) > float(gains.std()) / math.sqrt(len(gains))


def _judged(stand: FitState) -> ValidationScores:
    """How good it is on val."""
    targets = stand.photos.val_targets
    logits = answers(stand.learner, stand.photos.val, np.arange(len(targets)))["logits"]
    found = losses(logits, targets)
    accuracy = float((logits.argmax(axis=1) == targets).mean())
    return ValidationScores(losses=found, metrics={"val/loss": float(found.mean()), "val/accuracy": accuracy})


def _metrics(held_out: HeldOut) -> dict[str, float]:
    """The same of photos that were held out in turn; nothing where none could be judged."""
    logits, targets = np.asarray(held_out.logits), held_out.targets
    if not len(targets):
        return {}
    accuracy = float((logits.argmax(axis=1) == targets).mean())
    return {"val/loss": float(losses(logits, targets).mean()), "val/accuracy": accuracy}


def _together(stand: FitState) -> FitState:
    """Train and val as one; no val."""
    photos = stand.photos
    learned = stand.learned.followed_by(stand.aside)
    joined = FitPhotos(
        train=ConcatImages(photos.train, photos.val),
        train_targets=learned.targets,
        val=ImageSubset(photos.val, np.empty(0, dtype=np.int64)),
        val_targets=photos.val_targets[:0],
        classes=photos.classes,
    )
    return replace(stand, learned=learned, aside=stand.aside.at(np.empty(0, dtype=np.int64)), photos=joined)


def _trained(job: RecipeInputs, stand: FitState, tuned: FinetuneResult, held_out: HeldOut) -> TrainedModel:
    job.progress("exporting", 0, 1)
    targets = stand.photos.train_targets
    chosen = spread(targets)
    embedding: NDArray[np.float32] = answers(stand.learner, stand.photos.train, chosen)["embedding"]
    model = export(stand.network.eval(), stand.spec.size)
    job.progress("exporting", 1, 1)
    return TrainedModel(
        model=model,
        labels=tuple(Label(id=name, name=name) for name in job.dataset.classes),
        preprocess=stand.network.preprocess,
        calibration=Calibration(temperature=fit_temperature(held_out.logits, held_out.targets)),
        photos=len(targets),
        reference={"embedding": embedding, "label": targets[chosen]},
        metrics={**tuned.metrics, "epoch": float(tuned.epoch)},
        last_step=max(1, tuned.last_step),
        held_out=held_out,
        learned_from=tuple(stand.learned.rows[index] for index in chosen),
    )
