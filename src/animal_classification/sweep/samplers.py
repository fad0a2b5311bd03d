"""Who says what comes next, and what is not worth going on with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import optuna
from optuna.samplers import BaseSampler

from animal_classification.sweep.search_space import Space, grid

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.pruners import BasePruner
    from optuna.study import Study
    from optuna.trial import FrozenTrial, TrialState

    from animal_classification.config.schema import SweepConfig

# Before anything is stopped early there must be something to compare with, and more than a first epoch.
_CALM_TRIALS = 5
_CALM_EPOCHS = 2


class SeededByTrial(BaseSampler):
    """A sampler that starts each trial from the study's seed and the trial's number.

    One that went through a single sequence would suggest the same again after every restart, and in every worker.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int) -> None:
        self._make = make
        self._seed = seed
        self._now = make(seed)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._now.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._now.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._now.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        import numpy as np

        self._now = self._make(int(np.random.SeedSequence([self._seed, trial.number]).generate_state(1)[0]))
        self._now.before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Nothing: what samplers do here is for multi-objective studies, and to end a loop that is not used."""


def sampler(settings: SweepConfig, space: Space, seed: int) -> BaseSampler:
    """The sampler that the settings name.

    Raises:
        UsageError: A grid is asked for, and the space has none.
    """
    if settings.sampler == "grid":
        points = grid(space)
        return SeededByTrial(lambda _: optuna.samplers.GridSampler(points, seed=seed), seed)
    if settings.sampler == "random":
        return SeededByTrial(lambda number: optuna.samplers.RandomSampler(seed=number), seed)
    return SeededByTrial(lambda number: optuna.samplers.TPESampler(seed=number, constant_liar=True), seed)


def pruner(settings: SweepConfig) -> BasePruner:
    """The pruner that the settings name."""
    if settings.pruner == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=_CALM_TRIALS, n_warmup_steps=_CALM_EPOCHS)
    if settings.pruner == "hyperband":
        return optuna.pruners.HyperbandPruner(
            min_resource=settings.min_resource, reduction_factor=settings.reduction_factor
        )
    return optuna.pruners.NopPruner()
