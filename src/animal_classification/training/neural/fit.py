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
from lightning.pytorch.strategies import DDPStrategy
from torch import nn

from animal_classification.errors import UsageError
from animal_classification.training.neural import checkpoints
from animal_classification.training.neural.device import accelerator, deterministic, precision, prepare_torch
from animal_classification.training.neural.finetune.stages import NORMS, UncutNetwork
from animal_classification.training.neural.fit_plan import FitTask
from animal_classification.training.neural.lightning_module import FitModule
from animal_classification.training.neural.placed_environment import PlacedEnvironment
from animal_classification.training.neural.profiler import Profiling
from animal_classification.training.neural.team import Team, team_of

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
        UsageError: Several processes cannot fit this network together.
        OutputError: A checkpoint cannot be written; the last one is good.
        AnimalsError: The loss is not a number any more, or a photo vanished.
    """
    team = team_of(job)
    state = checkpoints.load(job.run.checkpoints / f"{plan.stage}.ckpt")
    task = FitTask(config=job.config, network=network, groups=groups, photos=photos, plan=plan, state=state)
    prepare_torch(job.config.trainer, team.placement.local_world)
    with team.explained():
        team.send(task)
        module = run_fit(task, team, job)
    prepare_torch(job.config.trainer)
    network.load_state_dict(module.best_weights())
    network.cpu().eval()
    return module.fitted()


def run_fit(task: FitTask, team: Team, job: RecipeInputs | None = None) -> FitModule:
    """Take part in a fit, as one process of a team; with a ``job`` the one that leads."""
    module = FitModule(task, team.shard, job)
    if task.state is not None:
        module.restore(task.state)
    if not module.finished:
        task.network.train()  # Lightning leaves it as it comes, and measuring it before has switched dropout off
        if not team.shard.alone:
            _refuse_own_statistics(task.network)
        _run(task, module, team)
        module.finished = True
        module.save()
    return module


def _refuse_own_statistics(network: nn.Module) -> None:
    """Batch norms that learn would see each process's photos only, and the result depend on their number."""
    if any(isinstance(module, NORMS) and module.training for module in network.modules()):
        raise UsageError(
            "this network's batch norms learn from a batch's photos, which several processes would divide: keep them "
            "in evaluation mode, as recipe=finetune does, or train with trainer.devices=1"
        )


def _run(task: FitTask, module: FitModule, team: Team) -> None:
    config, job = task.config.trainer, module.job
    device = accelerator(config)
    callbacks: list[Any] = [Profiling(job.run.path / "profile")] if config.profile and job is not None else []
    with _quiet():
        trainer = Trainer(
            accelerator="gpu" if device == "cuda" else device,
            devices=team.placement.local_world,
            num_nodes=team.placement.nodes,
            strategy="auto" if team.shard.alone else _data_parallel(team, task.network),
            precision=precision(config),
            max_epochs=task.plan.epochs - module.epoch,
            accumulate_grad_batches=config.accumulate,
            gradient_clip_val=task.config.optim.clip or None,
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


def _data_parallel(team: Team, network: nn.Module) -> DDPStrategy:
    """Each process has the whole network; gradients are averaged.

    Weights are the same everywhere from the first step on, and batch norms keep their statistics, so there are no
    buffers to send around.
    """
    return DDPStrategy(
        cluster_environment=PlacedEnvironment(team.placement),
        broadcast_buffers=False,
        find_unused_parameters=any(isinstance(module, UncutNetwork) for module in network.modules()),
    )


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
