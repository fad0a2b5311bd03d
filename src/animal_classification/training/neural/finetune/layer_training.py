"""How layers learn: they start with the probe's head, train a few epochs, and go back a part of the way."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from animal_classification.training.neural.augmentation import Mixing, pick_view, rand_augment
from animal_classification.training.neural.finetune.probe_head import EmbeddedSplit, FittedHead, fit_probe_head
from animal_classification.training.neural.finetune.stages import parameter_groups
from animal_classification.training.neural.fit import fit
from animal_classification.training.neural.fit_plan import FitPhotos, FitPlan, Fitted

if TYPE_CHECKING:
    from animal_classification.config.schema import FinetuneConfig
    from animal_classification.imaging import PreprocessSpec
    from animal_classification.training.neural.finetune.network import FinetuneNetwork
    from animal_classification.training.recipe import RecipeInputs

Weights = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class FitState:
    """A network and the photos that it is fitted to.

    Attributes:
        network: With its pretrained weights.
        train: The training photos.
        val: May be empty.
        photos: What the loop reads: cached features, or pixels where nothing is frozen.
        spec: How photos reach the network.
    """

    network: FinetuneNetwork
    train: EmbeddedSplit
    val: EmbeddedSplit
    photos: FitPhotos
    spec: PreprocessSpec

    @property
    def learner(self) -> nn.Module:
        """What the loop trains."""
        return self.network.tail if len(self.network.trunk) else self.network


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """One pass through fitting.

    Attributes:
        stage: Names the checkpoint.
        epochs: How many.
        first_epoch: Epochs of the stages before, for numbering.
    """

    stage: str
    epochs: int
    first_epoch: int = 0


def start_from_head(config: FinetuneConfig, state: FitState) -> FittedHead:
    """Fit the head, and give it to the network."""
    network = state.network
    start = fit_probe_head(
        state.train, classes=state.photos.classes, pretrained=network.pretrained_head, balance=config.balance
    )
    network.set_head(start.head)
    state.learner.eval()
    return start


def fit_layers(job: RecipeInputs, config: FinetuneConfig, state: FitState, schedule: Schedule) -> Fitted:
    """Train the layers from their present weights, and go back a part of the way."""
    network, before = state.network, copy_weights(state.learner)
    plan = FitPlan(
        stage=schedule.stage,
        epochs=schedule.epochs,
        first_epoch=schedule.first_epoch,
        batch_size=config.batch_size,
        label_smoothing=config.label_smoothing,
        balance=config.balance,
        augment=pick_view if len(network.trunk) else partial(rand_augment, strength=config.augment),
        mix=Mixing(config.mixup, config.cutmix),
        average=config.average,
    )
    groups = parameter_groups(network.tail, job.config.optim, config.layer_decay)
    fitted = fit(job, state.learner, groups, state.photos, plan)
    _blend(state.learner, before, config.blend)
    state.learner.eval()
    return fitted


def copy_weights(learner: nn.Module) -> Weights:
    """Its weights, as they are now."""
    return {name: value.detach().clone() for name, value in learner.state_dict().items()}


def _blend(learner: nn.Module, start: Weights, share: float) -> None:
    """Go back a part of the way to where it began (WiSE-FT, Wortsman et al. 2022)."""
    with torch.no_grad():
        for name, value in learner.state_dict().items():
            if value.is_floating_point():
                value.lerp_(start[name], 1 - share)
