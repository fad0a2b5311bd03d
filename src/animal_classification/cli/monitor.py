"""``animals monitor``: what the prediction log says of a model in use."""

# Imported where they are used: SQLAlchemy and NumPy take 100 ms each to load, and --help needs neither.

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from animal_classification.cli.log_options import log_options, log_place, opened
from animal_classification.cli.monitor_drift import accept, drift, reference
from animal_classification.cli.monitor_forget import forget
from animal_classification.cli.options import json_option
from animal_classification.common.console import printable
from animal_classification.errors import UsageError
from animal_classification.monitoring.terminal_text import render
from animal_classification.prediction_log.database import connect
from animal_classification.prediction_log.location import LogLocation
from animal_classification.prediction_log.photo_store import photos_at


@click.group(name="monitor")
def command() -> None:
    """Watch a model in use, from the log that a server keeps of its predictions.

    `animals up` keeps one in the user's data folder, `animals serve` where --prediction-log is given.
    """


command.add_command(accept)
command.add_command(drift)
command.add_command(forget)
command.add_command(reference)


@command.command()
@click.option("--since", default="24h", show_default=True, help="How far to look back: 30m, 24h, 7d, 4w.")
@log_options
@json_option
def status(*, since: str, log_folder: str | None, log_url: str | None, as_json: bool) -> None:
    """Traffic, unknown photos, animals, confidence, latency, what people said, and what waits for the database."""
    from animal_classification.monitoring.status import read_status, seconds_of

    found = read_status(log_place(log_folder, log_url), seconds_of(since))
    if as_json:
        click.echo(json.dumps(found))
        return
    for line in render(found).splitlines():
        click.echo(printable(line) if not line.isascii() else line)


@command.command()
@click.option(
    "--to", default="head", show_default=True, help="A revision; base removes the tables with all that is in them."
)
@log_options
@json_option
def migrate(*, to: str, log_folder: str | None, log_url: str | None, as_json: bool) -> None:
    """Bring the log's database to the tables of this version.

    A server does it by itself at its first prediction, under a lock; this is for those who do it before.
    """
    from animal_classification.prediction_log.migrate import migrate as migrate_log

    engine = connect(log_place(log_folder, log_url).database)
    try:
        before, after = migrate_log(engine, to)
    finally:
        engine.dispose()
    if as_json:
        click.echo(json.dumps({"before": before, "after": after}))
    else:
        click.echo(f"animals: the log's tables were at {before or 'nothing'} and are at {after or 'nothing'}")


@command.command()
@click.argument("table", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--find-in",
    type=click.Path(path_type=Path, file_okay=False),
    help="Name the originals in this folder, found by their bytes, instead of copies of the kept photos.",
)
@click.option("--with-empty", is_flag=True, help='Export photos without an animal, too, labelled "no animal".')
@click.option("--since", default="30d", show_default=True, help="Of a .parquet: how far to look back.")
@click.option(
    "--reference", metavar="MODEL", help="Of a .parquet: this model's reference for drift in place of the log."
)
@log_options
@json_option
def export(
    *,
    table: Path,
    find_in: Path | None,
    with_empty: bool,
    since: str,
    reference: str | None,
    log_folder: str | None,
    log_url: str | None,
    as_json: bool,
) -> None:
    """Write what people said to TABLE, a .csv file that `animals train data.path=TABLE` reads.

    Where TABLE ends with .parquet, it gets all predictions of --since, or with --reference what drift is compared with:
    flat tables with the same columns, for Evidently, NannyML and others.

    The kept photos are copied beside it: labels.csv has them in labels.photos. Words that are no class, or have no
    photo, are left out and counted.
    """
    from animal_classification.monitoring.corrections_export import export as export_corrections
    from animal_classification.prediction_log.deletion import database_of

    place = log_place(log_folder, log_url)
    if table.suffix.lower() == ".parquet" or reference is not None:
        _export_table(table, place, since, reference, as_json=as_json)
        return
    with opened(database_of(place)) as engine:
        if engine is None:
            raise UsageError(f"there is no prediction log in {str(place.folder)!r}; say with --log-folder where it is")
        done = export_corrections(engine, photos_at(place.photos), table, find_in=find_in, with_empty=with_empty)
    left_out = {why: count for why, count in done.left_out.items() if count}
    if as_json:
        click.echo(json.dumps({"table": str(table), "rows": done.rows, "labels": done.labels, "left_out": left_out}))
        return
    labels = ", ".join(f"{label} {count}" for label, count in done.labels.most_common())
    click.echo(printable(f"animals: {table} has {done.rows} photos{': ' * bool(labels)}{labels}"))
    for why, count in left_out.items():
        click.echo(f"animals: left out: {count} words {why}")


def _export_table(table: Path, place: LogLocation, since: str, reference: str | None, *, as_json: bool) -> None:
    from animal_classification.monitoring import table_export
    from animal_classification.monitoring.drift.commands import open_model
    from animal_classification.monitoring.status import seconds_of
    from animal_classification.prediction_log.deletion import database_of

    if reference is not None:
        rows = table_export.export_reference(open_model(reference), table)
    else:
        begin = datetime.now(UTC) - timedelta(seconds=seconds_of(since))
        with opened(database_of(place)) as engine:
            if engine is None:
                raise UsageError(
                    f"there is no prediction log in {str(place.folder)!r}; say with --log-folder where it is"
                )
            rows = table_export.export_log(engine, table, begin)
    if as_json:
        click.echo(json.dumps({"table": str(table), "rows": rows}))
    else:
        click.echo(printable(f"animals: {table} has {rows} rows"))


@command.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@log_options
def clear(*, yes: bool, log_folder: str | None, log_url: str | None) -> None:
    """Delete all that a server kept: predictions, what people said, photos, and rows that wait or were refused."""
    from animal_classification.loop.ledger import collected_folders
    from animal_classification.monitoring.baselines import BaselineStore
    from animal_classification.prediction_log import deletion

    place = log_place(log_folder, log_url)
    photos, baselines = photos_at(place.photos), BaselineStore(place)
    with opened(deletion.database_of(place)) as engine:
        kept, accepted = deletion.count_kept(place, engine, photos), baselines.names()
        if not (kept or accepted):
            click.echo(printable(f"animals: nothing is kept in {place.folder}"))
            return
        where = engine.url.render_as_string(hide_password=True) if engine is not None else "no database"
        click.echo(
            printable(
                f"animals: this deletes {kept.predictions} predictions and {kept.words} words on them ({where}), "
                f"{kept.photos} photos of {kept.photo_bytes / 1e6:.1f} MB ({place.photos}), {kept.waiting} files of "
                f"rows that wait and {kept.refused} that were refused ({place.folder})"
                + (f", and {len(accepted)} accepted baselines" if accepted else "")
            )
        )
        if not yes:
            click.confirm("Delete them for good?", abort=True)
        collected = collected_folders(engine) if engine is not None else {}
        left = deletion.clear(place, engine, photos)
        for name in baselines.names():
            baselines.delete(name)
    click.echo("animals: deleted")
    for folder in sorted({str(folder) for folder in collected.values() if folder.is_dir()}):
        click.echo(printable(f"animals: what a loop has collected stays: {folder}; see animals monitor forget"))
    if left:
        click.echo("animals: a server is running and keeps what it answers meanwhile; stop it, and clear again")
