"""From ``tracking.to`` to one tracker that passes everything on to each."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from threading import Thread
from typing import TYPE_CHECKING

from animal_classification.errors import MissingExtraError
from animal_classification.registry.mlflow_client import (
    import_for,
    is_installed,
    require,
    shown,
    sqlite_file,
    tracking_uri,
)
from animal_classification.tracking.background import LOCAL_PATIENCE, PATIENCE, BackgroundTracker, NonFatalTracker, Warn
from animal_classification.tracking.composite import CompositeTracker, flat
from animal_classification.tracking.tracker import Tracker

if TYPE_CHECKING:
    from animal_classification.config.schema import Config
    from animal_classification.training.run import Run

_HOME = "animal_classification.tracking"
# What each needs beside the core: its import, its extra.
_EXTRAS = {"wandb": ("wandb", "wandb"), "tensorboard": ("tensorboardX", "tensorboard")}

_LOCAL_AND_QUICK = {"csv"}


def without_auto(config: Config) -> Config:
    """The same configuration, decided for this machine.

    In ``tracking.to`` each tracker stands once, and ``auto`` is MLflow where it is installed, else nothing. Where
    ``tracking.register`` is not set, models are registered if MLflow is installed.
    """
    tracking, installed = config.tracking, is_installed()
    named = ["mlflow" if name == "auto" else name for name in tracking.to if name != "auto" or installed]
    register = installed if tracking.register_model is None else tracking.register_model
    update = {"to": tuple(dict.fromkeys(named)), "register_model": register}
    return config.model_copy(update={"tracking": tracking.model_copy(update=update)})


@contextmanager
def tracked(
    config: Config, run: Run, *, listeners: Sequence[Tracker] = (), warn: Warn | None = None
) -> Iterator[Tracker]:
    """The trackers of a run and its listeners as one, told the configuration at the beginning and the end at the end.

    Args:
        config: All of it.
        run: The run.
        listeners: Told the same; what they raise passes through: that is how a sweep ends a bad trial.
        warn: As for :func:`open_tracker`.

    Raises:
        MissingExtraError: A library is not installed.
    """
    everybody = CompositeTracker([open_tracker(config, run, warn=warn), *listeners])
    failed = True
    try:
        everybody.log_config(flat(config.model_dump(mode="json", by_alias=True)))
        yield everybody
        failed = False
    finally:
        everybody.close(failed=failed)


def open_tracker(config: Config, run: Run, *, warn: Warn | None = None) -> Tracker:
    """Begin to track a run wherever ``config.tracking.to`` says; returns at once.

    Args:
        config: All of it.
        run: Its folder is where ids are remembered, and where local files go.
        warn: Takes a line when a tracker fails, on any thread; Python's logging by default.

    Raises:
        MissingExtraError: A library is not installed.
    """
    check_installed(config)
    tell = warn or logging.getLogger(_HOME).warning
    trackers: list[NonFatalTracker] = []
    for name in config.tracking.to:
        label, opener = _label(name, config), partial(_open, name, config, run)
        if name in _LOCAL_AND_QUICK:
            trackers.append(NonFatalTracker(label, opener, tell))
        else:
            trackers.append(BackgroundTracker(label, opener, tell, patience=_patience(name, config)))
    return _AllAtOnce(trackers)


def begin_imports(config: Config) -> None:
    """Import what trackers need, on a thread: while photos are decoded nobody notices, and later others would wait."""
    if "mlflow" in config.tracking.to:
        uri = tracking_uri(config.tracking.uri, output=config.output)
        Thread(target=_import_mlflow, args=(uri,), name="animals-import", daemon=True).start()


def _import_mlflow(uri: str) -> None:
    with suppress(Exception):  # whoever needs it meets it again, and can say so
        import_for(uri)


def check_installed(config: Config) -> None:
    """Find out whether everything is there, before any work is done.

    Raises:
        MissingExtraError: A library is not installed.
    """
    if "mlflow" in config.tracking.to:
        require("tracking with mlflow")
    if config.tracking.register_model:
        require("tracking.register=true")
    for name in config.tracking.to:
        if name in _EXTRAS and find_spec(_EXTRAS[name][0]) is None:
            raise MissingExtraError(f"tracking with {name}", _EXTRAS[name][1])


def _label(name: str, config: Config) -> str:
    """What messages call a tracker."""
    return f"mlflow at {shown(tracking_uri(config.tracking.uri, output=config.output))}" if name == "mlflow" else name


def _patience(name: str, config: Config) -> float:
    """Seconds that the end of the run waits for a tracker; files on this machine are late only where it is busy."""
    local = name == "tensorboard" or (
        name == "mlflow" and sqlite_file(tracking_uri(config.tracking.uri, output=config.output)) is not None
    )
    return LOCAL_PATIENCE if local else PATIENCE


def _open(name: str, config: Config, run: Run) -> Tracker:
    opener: Callable[[Config, Run], Tracker] = getattr(import_module(f"{_HOME}.{name}_tracker"), f"open_{name}")
    return opener(config, run)


class _AllAtOnce(CompositeTracker):
    """A fan-out whose trackers end side by side, so that their patience does not add up."""

    def __init__(self, trackers: Sequence[NonFatalTracker]) -> None:
        super().__init__(trackers)
        self._guarded = tuple(trackers)

    def close(self, *, failed: bool) -> None:
        for tracker in self._guarded:
            tracker.begin_close(failed=failed)
        super().close(failed=failed)
