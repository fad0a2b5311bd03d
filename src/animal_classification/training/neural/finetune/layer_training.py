"""How layers learn: from the probe's head on, a few epochs, and a part of the way back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from animal_classification.training.neural.finetune.mixup import Mixing, pick_view, rand_augment
from animal_classification.training.neural.finetune.probe_head import Learned, Start, starting_head
from animal_classification.training.neural.finetune.stages import groups_of
from animal_classification.training.neural.fit import FitPhotos, FitPlan, Fitted, fit

if TYPE_CHECKING:
    from animal_classification.config.schema import FinetuneConfig
    from animal_classification.imaging import PreprocessSpec
    from animal_classification.training.neural.finetune.network import FinetuneNetwork
    from animal_classification.training.recipe import RecipeInputs

Weights = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class FitState:
    """What fitting starts from.

    Attributes:
        network: With its pretrained weights.
        learned: The training photos.
        aside: Those of val, which may be empty.
        photos: What the loop learns from: features that are kept, or pixels where nothing is frozen.
        spec: How photos reach the network.
    """

    network: FinetuneNetwork
    learned: Learned
    aside: Learned
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


def begin(config: FinetuneConfig, stand: FitState) -> Start:
    """Fit the head, and give it to the network."""
    network = stand.network
    start = starting_head(stand.learned, classes=stand.photos.classes, own=network.own, balance=config.balance)
    network.begin_with(start.head)
    stand.learner.eval()
    return start


def fit_layers(job: RecipeInputs, config: FinetuneConfig, stand: FitState, schedule: Schedule) -> Fitted:
    """Let the layers learn from where they are, and go back a part of the way."""
    network, before = stand.network, copied(stand.learner)
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
    groups = groups_of(network.tail, job.config.optim, config.layer_decay)
    fitted = fit(job, stand.learner, groups, stand.photos, plan)
    _blend(stand.learner, before, config.blend)
    stand.learner.eval()
    return fitted


def copied(learner: nn.Module) -> Weights:
    """Its weights, as they are now."""
    return {name: value.detach().clone() for name, value in learner.state_dict().items()}


def _blend(learner: nn.Module, start: Weights, share: float) -> None:
    """Go back a part of the way to where it began (WiSE-FT, Wortsman et al. 2022)."""
    with torch.no_grad():
        for name, value in learner.state_dict().items():
            if value.is_floating_point():
                value.lerp_(start[name], 1 - share)
