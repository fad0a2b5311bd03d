"""What a network is fitted to, how, and what comes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

if TYPE_CHECKING:
    from animal_classification.config.schema import Config
    from animal_classification.training.neural.augmentation import Mixing
    from animal_classification.training.neural.checkpoints import State
    from animal_classification.training.neural.image_cache import Images
    from animal_classification.training.neural.optimizers import Groups

Augment = Callable[[Tensor, NDArray[np.uint64]], Tensor]
"""Other views of float images ``[N, 3, H, W]``, 0 to 255, as their keys decide (``seeded_random.uniforms``)."""


@dataclass(frozen=True, kw_only=True)
class FitPhotos:
    """Decoded photos with targets int64 ``[N]``; val may be empty."""

    train: Images
    train_targets: NDArray[np.int64]
    val: Images
    val_targets: NDArray[np.int64]
    classes: int


@dataclass(frozen=True, kw_only=True)
class FitPlan:
    """How a network is fitted; the rest is in ``config.optim`` and ``config.trainer``.

    Attributes:
        stage: Names the checkpoint; a recipe with several stages gives each its own.
        epochs: Passes over the training photos.
        first_epoch: Epochs of the stages before, for numbering.
        batch_size: Photos in a batch.
        label_smoothing: Share of the probability that goes to all classes evenly.
        balance: Rare classes count as much as frequent ones.
        augment: Changes the training photos.
        mix: Blends them, after that; draws from torch's generator, which each step seeds.
        average: Validate and keep an exponential moving average of the weights.
    """

    stage: str = "fit"
    epochs: int
    first_epoch: int = 0
    batch_size: int
    label_smoothing: float = 0.0
    balance: bool = True
    augment: Augment | None = None
    mix: Mixing | None = None
    average: bool = False


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What ``fit`` found; the network has its best weights.

    Attributes:
        metrics: Of the best epoch, by the names of ``tracking.tracker``.
        epoch: Which that was, from 1.
        epochs: How many were done.
        history: The metrics of all epochs.
    """

    metrics: Mapping[str, float]
    epoch: int
    epochs: int
    history: tuple[Mapping[str, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class FitTask:
    """All that a process needs to take part in a fit.

    Attributes:
        config: All of it.
        network: A ``network.Network``, with the weights that it starts from.
        groups: What is optimised (``optimizers.groups``): parameters of that network.
        photos: What it learns from.
        plan: How.
        state: The checkpoint from which it goes on; ``None`` for from the beginning.
    """

    config: Config
    network: nn.Module
    groups: Groups
    photos: FitPhotos
    plan: FitPlan
    state: State | None = None
