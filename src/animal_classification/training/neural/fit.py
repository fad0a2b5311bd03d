"""The loop that all networks share: `fit` brings a network to its best weights, and survives being killed.

Lightning runs it: devices, precision, accumulation, clipping, the order of hooks. What must survive a kill is in
`lightning_module`, and all of it is in one checkpoint.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lightning.pytorch import Trainer
from torch import nn

from animal_classification.training.neural import checkpoints
from animal_classification.training.neural.device import accelerator, deterministic, precision, prepare_torch
from animal_classification.training.neural.lightning_module import FitModule
from animal_classification.training.neural.profiler import Profiling

if TYPE_CHECKING:
    from animal_classification.training.neural.fit_plan import FitPhotos, FitPlan, Fitted
    from animal_classification.training.neural.optimizers import Groups
    from animal_classification.training.recipe import RecipeInputs


def fit(job: RecipeInputs, network: nn.Module, groups: Groups, photos: FitPhotos, plan: FitPlan) -> Fitted:
    """Fit a network, going on from the run's last checkpoint where there is one.

    Args:
        job: Configuration, run, tracker, progress.
        network: A ``network.Network``. It ends with the weights of the epoch with the lowest val/loss, or of the last
            epoch where there is no val, on the CPU and in evaluation mode.
        groups: What is optimised (``optimizers.groups``).
        photos: What it learns from.
        plan: How.

    Raises:
        OutputError: A checkpoint cannot be written; the last one is good.
        AnimalsError: The loss is not a number any more, or a photo vanished.
    """
    prepare_torch(job.config.trainer)
    module = FitModule(job, network, groups, photos, plan)
    path = job.run.checkpoints / f"{plan.stage}.ckpt"
    state = checkpoints.load(path)
    if state is not None:
        module.restore(state)
    if not module.finished:
        network.train()  # Lightning leaves it as it comes, and measuring it before has switched dropout off
        _run(job, module, plan)
        module.finished = True
        module.save()
    network.load_state_dict(module.best_weights())
    network.cpu().eval()
    return module.fitted()


def _run(job: RecipeInputs, module: FitModule, plan: FitPlan) -> None:
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
            deterministic=deterministic(config, device),
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


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Lightning's remarks on devices and its advice, which are for people who write its code."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\..*")
            yield
    finally:
        logger.setLevel(level)
