"""The loop that all networks share: ``fit`` brings a network to its best weights, whatever happens on the way.

Lightning runs it: devices, precision, accumulation, clipping, the order of hooks. What has to survive a kill is in
``module.py``, and all of it is in one checkpoint.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from animal_classification.common.limits import available_cpus
from animal_classification.training.neural import checkpoints
from animal_classification.training.neural.optimizers import Groups

if TYPE_CHECKING:
    from animal_classification.config.schema import TrainerConfig
    from animal_classification.training.neural.image_cache import Images
    from animal_classification.training.neural.lightning_module import Module
    from animal_classification.training.recipe import RecipeInputs

Augment = Callable[[Tensor, NDArray[np.uint64]], Tensor]
"""Other views of float images ``[N, 3, H, W]``, 0 to 255, as their keys decide (``drawing.uniforms``)."""

Mix = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Blends images, and their targets as float ``[N, C]``; may draw from torch's generator, which each step seeds."""


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
        mix: Blends them, after that.
        average: Measure and keep an exponential moving average of the weights.
    """

    stage: str = "fit"
    epochs: int
    first_epoch: int = 0
    batch_size: int
    label_smoothing: float = 0.0
    balance: bool = True
    augment: Augment | None = None
    mix: Mix | None = None
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
    history: tuple[Mapping[str, float], ...] = field(default=())


def fit(job: RecipeInputs, network: nn.Module, groups: Groups, photos: FitPhotos, plan: FitPlan) -> Fitted:
    """Fit a network, going on from the run's last checkpoint where there is one.

    Args:
        job: Configuration, run, tracker, progress.
        network: A ``network.Network``. It ends with the weights of the epoch with the lowest val/loss, or of the last
            epoch where there is no val, on the CPU and in evaluation mode.
        groups: What is optimised (``optimising.groups``).
        photos: What it learns from.
        plan: How.

    Raises:
        OutputError: A checkpoint cannot be written; the last one is good.
        AnimalsError: The loss is not a number any more, or a photo vanished.
    """
    from animal_classification.training.neural.lightning_module import Module

    prepare_torch(job.config.trainer)
    module = Module(job, network, groups, photos, plan)
    path = job.run.checkpoints / f"{plan.stage}.ckpt"
    state = checkpoints.load(path)
    if state is not None:
        module.restore(state)
    if not module.finished:
        network.train()  # Lightning leaves it as it comes, and whoever judged it before left dropout off
        _run(job, module, plan)
        module.finished = True
        module.save()
    network.load_state_dict(module.best_weights())
    network.cpu().eval()
    return module.fitted()


def prepare_torch(trainer: TrainerConfig) -> None:
    """Threads, and algorithms that give the same sums each time."""
    torch.set_num_threads(trainer.threads or available_cpus())
    torch.utils.deterministic.fill_uninitialized_memory = False  # only hides bugs, and costs time


def accelerator(trainer: TrainerConfig) -> str:
    """``cuda``, ``mps`` or ``cpu``."""
    if trainer.accelerator != "auto":
        return trainer.accelerator
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def precision(trainer: TrainerConfig) -> str:
    """Lightning's word for the numbers to compute with: mixed on CUDA, where it helps, else 32 bits."""
    chosen = trainer.precision
    if chosen == "auto":
        on_cuda = accelerator(trainer) == "cuda"
        chosen = ("bf16" if torch.cuda.is_bf16_supported() else "16") if on_cuda else "32"
    return {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}[chosen]


def channels_last(trainer: TrainerConfig) -> bool:
    """Convolutions on CPU and CUDA are faster so."""
    if trainer.channels_last == "auto":
        return accelerator(trainer) != "mps"
    return trainer.channels_last


def _run(job: RecipeInputs, module: Module, plan: FitPlan) -> None:
    from lightning.pytorch import Trainer

    from animal_classification.training.neural.profiler import Profiling

    config = job.config.trainer
    device = accelerator(config)
    callbacks: list[Any] = [Profiling(job.run.path / "profile")] if config.profile else []
    with _quiet():
        trainer = Trainer(
            accelerator="gpu" if device == "cuda" else device,
            devices=1,
            precision=precision(config),
            max_epochs=plan.epochs - module.epoch,
            accumulate_grad_batches=config.accumulate,
            gradient_clip_val=job.config.optim.clip or None,
            deterministic=_deterministic(config, device),
            reload_dataloaders_every_n_epochs=1,
            num_sanity_val_steps=0,
            limit_val_batches=1.0 if len(module.photos.val) else 0,
            callbacks=callbacks,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
        try:
            trainer.fit(module)
        except SystemExit as error:  # what Lightning makes of Ctrl-C
            raise KeyboardInterrupt from error


def _deterministic(config: TrainerConfig, device: str) -> bool | str:
    """Some operations have no deterministic form on a GPU; there a warning has to do."""
    if not config.deterministic:
        return False
    return True if device == "cpu" else "warn"


@contextmanager
def _quiet() -> Iterator[None]:
    """Lightning's remarks on devices and its advice are not for the people who train here."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\..*")
            yield
    finally:
        logger.setLevel(level)
