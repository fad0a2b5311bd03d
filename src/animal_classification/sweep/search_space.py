"""What is tried: the space of a study, checked before the first trial, and one point of it for each trial."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from animal_classification.config.fields import no_such, settings
from animal_classification.config.schema import Choice, Config, Range
from animal_classification.errors import UsageError

if TYPE_CHECKING:
    import optuna

Value = bool | int | float | str
Space = Mapping[str, Range | Choice]
Vary = Callable[[Mapping[str, object]], Config]
"""The configuration with some values in the place of its own; raises ``UsageError`` where one cannot be."""

# Where the user says nothing. The probe finds its strength by itself, so there is little left to try.
DEFAULTS: dict[str, dict[str, Range | Choice]] = {
    "probe": {
        "recipe.flips": Choice(values=(False, True)),
        "recipe.balance": Choice(values=(False, True)),
    },
    "finetune": {
        "recipe.lr": Range(low=1e-4, high=1e-2, log=True),
        "recipe.layer_decay": Range(low=0.5, high=0.95),
        "recipe.batch_size": Choice(values=(16, 32, 64)),
        "recipe.augment": Range(low=0.0, high=2.0),
        "recipe.mixup": Range(low=0.0, high=0.4),
        "recipe.label_smoothing": Range(low=0.0, high=0.2),
        "optim.weight_decay": Range(low=1e-4, high=0.1, log=True),
    },
    "cnn": {
        "recipe.lr": Range(low=1e-4, high=1e-2, log=True),
        "recipe.batch_size": Choice(values=(32, 64, 128)),
        "recipe.dropout": Range(low=0.2, high=0.7),
        "recipe.augment": Range(low=0.0, high=1.5),
        "recipe.label_smoothing": Range(low=0.0, high=0.2),
        "optim.weight_decay": Range(low=1e-5, high=0.1, log=True),
    },
}


def space_of(config: Config) -> dict[str, Range | Choice]:
    """What the configuration asks to try, or what is usual for its recipe."""
    return dict(config.sweep.space) or dict(DEFAULTS[config.recipe.name])


def check(space: Space, vary: Vary) -> None:
    """See that every key is a setting, and that the ends of every range and each choice are values for it.

    Raises:
        UsageError: Names the key, and what is wrong with it.
    """
    for key, tried in space.items():
        known = settings().get(key)
        if known is None:
            raise UsageError(f"sweep.space: {no_such(key)}")
        if known.part or key.startswith("sweep.") or key in ("output", "recipe.name"):
            raise UsageError(
                f"sweep.space: {key} cannot be tried; try single settings of a recipe, optim, data or trainer"
            )
        for value in tried.values if isinstance(tried, Choice) else (tried.low, tried.high):
            try:
                vary({key: value})
            except UsageError as error:
                raise UsageError(f"sweep.space: {error}") from error


def suggest(trial: optuna.Trial, space: Space) -> dict[str, Value]:
    """A value for each key."""
    return {key: _suggest(trial, key, tried) for key, tried in space.items()}


def grid(space: Space) -> dict[str, list[Value]]:
    """All values of each key.

    Raises:
        UsageError: A range has no end of values.
    """
    return {key: _all(key, tried) for key, tried in space.items()}


def size(space: Space) -> float:
    """How many points there are; infinite where a range has no steps."""
    try:
        return math.prod(len(values) for values in grid(space).values())
    except UsageError:
        return math.inf


def _suggest(trial: optuna.Trial, key: str, tried: Range | Choice) -> Value:
    if isinstance(tried, Choice):
        chosen = trial.suggest_categorical(key, tried.values)
        assert chosen is not None
        return chosen
    if tried.whole:
        return trial.suggest_int(key, int(tried.low), int(tried.high), step=int(tried.step or 1), log=tried.log)
    return trial.suggest_float(key, tried.low, tried.high, step=tried.step, log=tried.log)


def _all(key: str, tried: Range | Choice) -> list[Value]:
    if isinstance(tried, Choice):
        return list(tried.values)
    step = tried.step or (1 if tried.whole else None)
    if step is None or tried.log:
        raise UsageError(f"sweep.sampler=grid needs a step or values for {key}; or choose sampler=tpe or random")
    count = int((tried.high - tried.low) / step + 1e-9) + 1
    values = [tried.low + number * step for number in range(count)]
    return [int(value) for value in values] if tried.whole else [float(value) for value in values]
