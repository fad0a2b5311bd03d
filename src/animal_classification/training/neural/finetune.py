"""The recipe ``finetune``: a pretrained network, the probe's head on it, and then its layers, the later the faster.

On a CPU the early stages stay as they are, and what they make of each photo is computed once. The rest learns on that,
in seconds for an epoch. What val is needed for (how many epochs, how sure) is settled first; then train and val
together are learned from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from animal_classification.bundle import Calibration, Label
from animal_classification.config.schema import FinetuneConfig
from animal_classification.evaluation.calibration import fit_temperature
from animal_classification.evaluation.rules import HeldOut
from animal_classification.imaging import PreprocessSpec
from animal_classification.training.neural.answering import answers, spread
from animal_classification.training.neural.cnn import load_photos
from animal_classification.training.neural.exporting import export
from animal_classification.training.neural.finetune_backbone import load_backbone
from animal_classification.training.neural.finetune_features import Features, features_of
from animal_classification.training.neural.finetune_head import starting_head
from animal_classification.training.neural.finetune_mixing import Mixing, pick_view, rand_augment
from animal_classification.training.neural.finetune_network import FinetuneNetwork, split_backbone
from animal_classification.training.neural.finetune_stages import groups_of
from animal_classification.training.neural.fitting import Photos, Plan, accelerator, fit, prepare_torch
from animal_classification.training.recipe import Job, Trained

if TYPE_CHECKING:
    from animal_classification.training.neural.finetune_backbone import Backbone

Weights = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Stand:
    """What fitting starts from.

    Attributes:
        network: With its pretrained weights.
        train: Features of the training photos.
        val: Those of val, which may be empty.
        photos: What the loop learns from: the features, or pixels where nothing is frozen.
        spec: How photos reach the network.
    """

    network: FinetuneNetwork
    train: Features
    val: Features
    photos: Photos
    spec: PreprocessSpec

    @property
    def learner(self) -> nn.Module:
        """What the loop trains."""
        return self.network.tail if len(self.network.trunk) else self.network


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What val says of the network's present weights; nothing where val is empty.

    Attributes:
        logits: float32 ``[N, C]``.
        embedding: float32 ``[N, D]``.
        temperature: The one that suits the logits best.
        losses: In nats, of each photo ``[N]``, at that temperature.
        metrics: ``val/loss`` and ``val/accuracy``.
    """

    logits: NDArray[np.float32]
    embedding: NDArray[np.float32]
    temperature: float
    losses: Tensor
    metrics: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """What fitting came to.

    Attributes:
        epoch: The best; 0 where the head alone stays.
        last_step: The last epoch that was told to the tracker; 0 for none.
        metrics: Of the best epoch.
        judgement: Of the weights that the network has now.
    """

    epoch: int
    last_step: int
    metrics: Mapping[str, float]
    judgement: Judgement


def train(job: Job) -> Trained:
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
    pretrained = _copied(stand.learner)
    tuned = _tune(job, config, stand)
    temperature, last_step, held_out = tuned.judgement.temperature, tuned.last_step, None
    if len(stand.photos.val) and config.refit:
        held_out = _held_out(stand, tuned.judgement)
        stand.learner.load_state_dict(pretrained)
        stand = _together(stand)
        last_step = max(last_step, _tune(job, config, stand, epochs=tuned.epoch).last_step)
    metrics = {**tuned.metrics, "epoch": float(tuned.epoch)}
    trained = _trained(job, stand, temperature, metrics, held_out)
    return replace(trained, last_step=max(1, last_step))


def _stand(job: Job, config: FinetuneConfig, backbone: Backbone) -> Stand:
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
    loaded = Photos(
        train=train_features,
        train_targets=dataset.train.targets,
        val=val_features,
        val_targets=dataset.val.targets,
        classes=classes,
    )
    if not len(network.trunk):
        loaded = load_photos(job, spec)
    return Stand(network=network, train=train_features, val=val_features, photos=loaded, spec=spec)


def _tune(job: Job, config: FinetuneConfig, stand: Stand, *, epochs: int | None = None) -> Tuned:
    """Fit head and layers."""
    network, photos = stand.network, stand.photos
    stage = "tune" if epochs is None else "refit"
    head = starting_head(stand.train.embeddings, photos, job, own=network.own, balance=config.balance)
    network.begin_with(head)
    start, before = _copied(stand.learner), _judged(stand)
    if epochs == 0 or config.epochs == 0:
        return Tuned(epoch=0, last_step=0, metrics=before.metrics, judgement=before)
    plan = Plan(
        stage=stage,
        epochs=epochs or config.epochs,
        first_epoch=0 if epochs is None else config.epochs,
        batch_size=config.batch_size,
        label_smoothing=config.label_smoothing,
        balance=config.balance,
        augment=pick_view if len(network.trunk) else partial(rand_augment, strength=config.augment),
        mix=Mixing(config.mixup, config.cutmix),
        average=config.average,
    )
    fitted = fit(job, stand.learner, groups_of(network.tail, job.config.optim, config.layer_decay), photos, plan)
    _blend(stand.learner, start, config.blend)
    after, last_step = _judged(stand), plan.first_epoch + fitted.epochs
    if not _clearly_better(before.losses, after.losses):
        stand.learner.load_state_dict(start)
        return Tuned(epoch=0, last_step=last_step, metrics=before.metrics, judgement=before)
    metrics = {**fitted.metrics, **after.metrics}
    return Tuned(epoch=fitted.epoch, last_step=last_step, metrics=metrics, judgement=after)


def _clearly_better(before: Tensor, after: Tensor) -> bool:
    """Whether losses of the same photos fell by more than one standard error; true where nothing can be said.

    The head alone was chosen by cross-validation over all of train, val is small: without a doubt in its favour, every
    other lucky val would take layers that are worse.
    """
    gains = before - after
    if not len(gains):
        return True
    error = float(gains.std()) / math.sqrt(len(gains)) if len(gains) > 1 else math.inf
    return float(gains.mean()) > error


def _blend(learner: nn.Module, start: Weights, share: float) -> None:
    """Go back a part of the way to where it began (WiSE-FT, Wortsman et al. 2022)."""
    with torch.no_grad():
        for name, value in learner.state_dict().items():
            if value.is_floating_point():
                value.lerp_(start[name], 1 - share)


def _judged(stand: Stand) -> Judgement:
    """How good it is on val."""
    stand.learner.eval()
    photos = stand.photos
    if not len(photos.val):
        nothing = np.empty((0, 0), dtype=np.float32)
        return Judgement(logits=nothing, embedding=nothing, temperature=1.0, losses=torch.empty(0), metrics={})
    found = answers(stand.learner, photos.val, np.arange(len(photos.val)))
    logits, targets = torch.from_numpy(found["logits"]), torch.from_numpy(photos.val_targets)
    temperature = fit_temperature(found["logits"], photos.val_targets)
    losses = functional.cross_entropy(logits / temperature, targets, reduction="none")
    accuracy = float((logits.argmax(1) == targets).float().mean())
    return Judgement(
        logits=found["logits"],
        embedding=found["embedding"],
        temperature=temperature,
        losses=losses,
        metrics={"val/loss": float(losses.mean()), "val/accuracy": accuracy},
    )


def _held_out(stand: Stand, judgement: Judgement) -> HeldOut:
    """What the network that has not seen val says of it, before another is fitted to train and val."""
    chosen = spread(len(stand.photos.train))
    return HeldOut(
        logits=judgement.logits,
        targets=stand.photos.val_targets,
        embedding=judgement.embedding,
        fit_embedding=answers(stand.learner, stand.photos.train, chosen)["embedding"],
        fit_label=stand.photos.train_targets[chosen],
    )


def _together(stand: Stand) -> Stand:
    """Train and val as one; no val."""
    from animal_classification.training.neural.finetune_head import Joined

    photos = stand.photos
    merged = stand.train.followed_by(stand.val)
    nothing = Features(merged.activations[:0], merged.embeddings[:0])
    joined = Photos(
        train=merged if len(stand.network.trunk) else Joined(photos.train, photos.val),
        train_targets=np.concatenate([photos.train_targets, photos.val_targets]),
        val=nothing,
        val_targets=photos.val_targets[:0],
        classes=photos.classes,
    )
    return replace(stand, train=merged, val=nothing, photos=joined)


def _trained(
    job: Job, stand: Stand, temperature: float, metrics: Mapping[str, float], held_out: HeldOut | None
) -> Trained:
    job.progress("exporting", 0, 1)
    chosen = spread(len(stand.photos.train))
    embedding: NDArray[np.float32] = answers(stand.learner, stand.photos.train, chosen)["embedding"]
    rows = (*job.dataset.train.rows, *job.dataset.val.rows)  # in this order; val only after a refit
    model = export(stand.network.eval(), stand.spec.size)
    job.progress("exporting", 1, 1)
    return Trained(
        model=model,
        labels=tuple(Label(id=name, name=name) for name in job.dataset.classes),
        preprocess=stand.network.preprocess,
        calibration=Calibration(temperature=temperature),
        photos=len(stand.photos.train),
        reference={"embedding": embedding, "label": stand.photos.train_targets[chosen]},
        metrics=metrics,
        held_out=held_out,
        learned_from=tuple(rows[index] for index in chosen),
    )


def _copied(learner: nn.Module) -> Weights:
    return {name: value.detach().clone() for name, value in learner.state_dict().items()}
