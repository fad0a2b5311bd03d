"""What a study hears of a trial's training: the metric of each epoch, and whether that is good enough to go on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import optuna

from animal_classification.tracking.tracker import NoTracker

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


class PruningCallback(NoTracker):
    """A tracker that reports one metric to a trial.

    Args:
        trial: The trial.
        metric: Its name.
        earlier: What an interrupted attempt at the same trial had reported.

    Raises:
        TrialPruned: From ``log_metrics``: others were better at the same epoch, or the metric is no number any more.
    """

    def __init__(self, trial: optuna.Trial, metric: str, earlier: FrozenTrial | None = None) -> None:
        self._trial = trial
        self._metric = metric
        self._reported: set[int] = set()
        self.last: float | None = None
        for step, value in sorted(earlier.intermediate_values.items()) if earlier else ():
            self._report(value, step)

    def log_metrics(self, values: Mapping[str, float], *, step: int) -> None:
        value = values.get(self._metric)
        if value is None:
            return
        if not math.isfinite(value):
            raise optuna.TrialPruned(f"{self._metric} is {value} in epoch {step}")
        self._report(float(value), step)
        if not self._metric.startswith("test/") and self._trial.should_prune():  # a test comes when all is done
            raise optuna.TrialPruned(f"{self._metric} is {value:.4g} in epoch {step}, worse than most")

    def _report(self, value: float, step: int) -> None:
        self.last = value
        if step not in self._reported:
            self._reported.add(step)
            self._trial.report(value, step)
