"""``animals monitor``: what the prediction log says of a model in use."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from animal_classification.cli.console import printable
from animal_classification.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from animal_classification.prediction_log.places import LogPlace


def _where(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say which log."""
    command = click.option(
        "--log-url", help="The log's database.  [default: $ANIMALS_LOG_URL, or SQLite in the folder]"
    )(command)
    return click.option("--log-folder", help="Where it is.  [default: $ANIMALS_LOG_FOLDER, or the user's data folder]")(
        command
    )


_as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group(name="monitor")
def command() -> None:
    """Watch a model in use, from the log that a server keeps of its predictions.

    `animals up` keeps one in the user's data folder, `animals serve` where --prediction-log is given.
    """


@command.command()
@click.option("--since", default="24h", show_default=True, help="How far to look back: 30m, 24h, 7d, 4w.")
@_where
@_as_json
def status(*, since: str, log_folder: str | None, log_url: str | None, as_json: bool) -> None:
    """Traffic, unknown photos, animals, confidence, latency, what people said, and what waits for the database."""
    from animal_classification.monitoring.status import read_status, seconds_of
    from animal_classification.monitoring.text import render

    found = read_status(_place(log_folder, log_url), seconds_of(since))
    if as_json:
        click.echo(json.dumps(found))
        return
    for line in render(found).splitlines():
        click.echo(printable(line) if not line.isascii() else line)


@command.command()
@click.option(
    "--to", default="head", show_default=True, help="A revision; base removes the tables with all that is in them."
)
@_where
@_as_json
def migrate(*, to: str, log_folder: str | None, log_url: str | None, as_json: bool) -> None:
    """Bring the log's database to the tables of this version.

    A server does it by itself at its first prediction, under a lock; this is for those who do it before.
    """
    from animal_classification.prediction_log.database import connect
    from animal_classification.prediction_log.migrating import migrate as bring

    engine = connect(_place(log_folder, log_url).database)
    try:
        before, after = bring(engine, to)
    finally:
        engine.dispose()
    if as_json:
        click.echo(json.dumps({"before": before, "after": after}))
    else:
        click.echo(f"animals: the log's tables were at {before or 'nothing'} and are at {after or 'nothing'}")


def _place(folder: str | None, url: str | None) -> LogPlace:
    from animal_classification.prediction_log.places import place_of

    given: dict[str, Any] = {}
    if folder is not None:
        given["log_folder"] = folder
    if url is not None:
        given["log_url"] = url
    return place_of(replace(Settings.from_environment(), **given))
