"""From ``tracking.to`` to one tracker that passes everything on to each."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from animal_classification.errors import MissingExtraError
from animal_classification.training.tracking.guarding import BackgroundTracker, Guarded, Warn
from animal_classification.training.tracking.tracker import Tracker

if TYPE_CHECKING:
    from animal_classification.config.schema import Config
    from animal_classification.training.run import Run

_HOME = "animal_classification.training.tracking"
# What each needs beside the core: its import, its extra.
_EXTRAS = {"wandb": ("wandb", "wandb"), "tensorboard": ("tensorboardX", "tensorboard")}

_LOCAL_AND_QUICK = {"csv"}


def open_tracker(config: Config, run: Run, *, warn: Warn | None = None) -> Tracker:
    """Begin to track a run wherever ``config.tracking.to`` says; returns at once.

    Args:
        config: All of it.
        run: Its folder is where ids are remembered, and where local files go.
        warn: Takes a line when a tracker fails, on any thread; Python's logging by default.

    Raises:
        MissingExtraError: A library is not installed.
    """
    for name in config.tracking.to:
        if name in _EXTRAS and find_spec(_EXTRAS[name][0]) is None:
            raise MissingExtraError(f"tracking with {name}", _EXTRAS[name][1])
    tell = warn or logging.getLogger(_HOME).warning
    trackers: list[Guarded] = []
    for name in dict.fromkeys(config.tracking.to):  # each once
        kind = Guarded if name in _LOCAL_AND_QUICK else BackgroundTracker
        trackers.append(kind(name, partial(_open, name, config, run), tell))
    return Fan(trackers)


def _open(name: str, config: Config, run: Run) -> Tracker:
    opener: Callable[[Config, Run], Tracker] = getattr(import_module(f"{_HOME}.{name}_tracker"), f"open_{name}")
    return opener(config, run)


class Fan:
    """Passes everything on to each of several trackers."""

    def __init__(self, trackers: list[Guarded]) -> None:
        self._trackers = trackers

    def log_config(self, config: Mapping[str, object]) -> None:
        for tracker in self._trackers:
            tracker.log_config(config)

    def log_metrics(self, values: Mapping[str, float], *, step: int) -> None:
        for tracker in self._trackers:
            tracker.log_metrics(values, step=step)

    def log_image(self, name: str, png: bytes, *, step: int) -> None:
        for tracker in self._trackers:
            tracker.log_image(name, png, step=step)

    def log_bundle(self, bundle: Path) -> None:
        for tracker in self._trackers:
            tracker.log_bundle(bundle)

    def close(self, *, failed: bool) -> None:
        for tracker in self._trackers:
            tracker.begin_close(failed=failed)  # all at once: their patience runs side by side
        for tracker in self._trackers:
            tracker.close(failed=failed)
