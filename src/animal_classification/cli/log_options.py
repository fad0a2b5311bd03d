"""The options that say which prediction log a command is about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from animal_classification.cli.options import apply
from animal_classification.prediction_log.database import require_database
from animal_classification.prediction_log.location import LogLocation, log_location
from animal_classification.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine


def log_options(function: Callable[..., None]) -> Callable[..., None]:
    """The options that say which log, and a check that what reads one is installed."""

    @wraps(function)
    def checked(**options: Any) -> None:
        require_database()
        function(**options)

    return apply(
        click.option("--log-folder", help="Where it is.  [default: $ANIMALS_LOG_FOLDER, or the user's data folder]"),
        click.option("--log-url", help="The log's database.  [default: $ANIMALS_LOG_URL, or SQLite in the folder]"),
    )(checked)


def log_place(folder: str | None, url: str | None) -> LogLocation:
    """Which log the options mean."""
    given: dict[str, Any] = {}
    if folder is not None:
        given["log_folder"] = folder
    if url is not None:
        given["log_url"] = url
    return log_location(replace(Settings.from_environment(), **given))


@contextmanager
def opened(engine: Engine | None) -> Iterator[Engine | None]:
    """A log's database, closed at the end; ``None`` where it is not there."""
    try:
        yield engine
    finally:
        if engine is not None:
            engine.dispose()
