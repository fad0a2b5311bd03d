"""``animals batch``: photos by the million, on any number of machines."""

# Imported where they are used: plans and workers load NumPy, DuckDB and an engine, and --help needs none of them.

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from animal_classification.cli.field_options import html_option, rule_options
from animal_classification.cli.interrupts import sigterm_like_ctrl_c
from animal_classification.cli.options import engine_option, json_option
from animal_classification.cli.output import print_notes
from animal_classification.cli.predict import command as predict_command
from animal_classification.common.console import complain, say
from animal_classification.common.progress import ProgressLine
from animal_classification.errors import UsageError

if TYPE_CHECKING:
    from animal_classification.cli.options import Command
    from animal_classification.scale.estimate import Estimate
    from animal_classification.scale.plan import Plan
    from animal_classification.scale.runners.local import RunOptions, RunReport
    from animal_classification.scale.status import BatchStatus

INTERRUPTED = 130
CORE_MS_NOTE = "14 ms of processor time a photo"
RUNNERS = ("local", "index", "ray")
# What `animals predict` takes that is not about what stands in a row: where rows go, how fast, and what is shown.
NOT_OF_A_ROW = frozenset(
    {"paths", "output", "format", "resume", "retry_errors", "overwrite", "all_files", "sort_into", "way", "dry_run"}
    | {"engine", "threads", "as_json", "quiet", "debug", "keep_folders", "html"}
    # What decides after all photos were looked at: `animals batch merge` takes it.
    | {"threshold", "event_gap", "burst_gap", "smooth", "deployments", "shift", "species_list", "list_lenient"}
    | {"country", "region", "geofence"}
)


def row_options() -> list[click.Option]:
    """The options of ``animals predict`` that decide what stands in a row: a batch has them all."""
    return [
        option
        for option in predict_command.params
        if isinstance(option, click.Option) and option.name not in NOT_OF_A_ROW
    ]


def _row_options(function: Command) -> Command:
    function.__dict__.setdefault("__click_params__", []).extend(reversed(row_options()))
    return function


@click.group(name="batch")
def command() -> None:
    """Name the animals in millions of photos, on any number of machines.

    \b
    animals batch plan gs://bucket/2026/ --output gs://ours/batch/2026
    animals batch run gs://ours/batch/2026 --workers 8
    animals batch status gs://ours/batch/2026
    animals batch merge gs://ours/batch/2026 --output animals.parquet

    Run the second line on as many machines as you like. Kill any of them: every photo gets exactly one row.
    """  # noqa: D301 - \b is click's mark for lines that stay apart


@command.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("-o", "--output", metavar="DIR", required=True, help="Folder of the batch: here, gs:// or s3://.")
@click.option(
    "--shard", type=click.IntRange(1, 100_000), default=2000, show_default=True, help="Photos that are done at once."
)
@click.option("--pack", is_flag=True, help="Copy the photos into one tar a shard, which many machines read faster.")
@click.option("--all-files", is_flag=True, help="A row for every file, whatever its name ends with.")
@click.option("--embeddings", is_flag=True, help="A column with the embedding of each photo, in half precision.")
@_row_options
@json_option
def plan(
    *,
    paths: tuple[str, ...],
    output: str,
    shard: int,
    pack: bool,
    all_files: bool,
    embeddings: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """List the photos at PATH once, divide them into shards, and say what they will cost.

    PATH is a folder, a photo or a quoted pattern of this machine, or an address such as gs://bucket/folder or
    s3://bucket/folder.
    """
    from animal_classification.predict.field_request import FieldRequest
    from animal_classification.predict.request import PredictRequest
    from animal_classification.scale.estimate import Estimate
    from animal_classification.scale.planning import PlanRequest, make_plan
    from animal_classification.scale.storage import open_folder

    field = FieldRequest.of_options(options)
    options["embeddings"] = embeddings
    request = PredictRequest(paths=paths, field=field, all_files=all_files, **options)
    asked = PlanRequest(predict=request, options=tuple(options), output=output, shard=shard, pack=pack)
    with ProgressLine(shown=not as_json) as line:
        made = make_plan(asked, open_folder(output), lambda count: line.describe(f"planning: {count:,} photos"))
    print_notes(made.notes)
    estimate = Estimate.of(made.plan)
    if as_json:
        about = {"batch": output, "id": made.plan.id, "shards": made.plan.shards}
        click.echo(json.dumps({**about, **estimate.as_object()}))
        return
    for text in _plan_lines(output, made.plan, estimate, made.left_out):
        click.echo(text)


@command.command()
@click.argument("batch", metavar="DIR")
@click.option("--runner", type=click.Choice(RUNNERS), default="local", show_default=True, help="Who starts workers.")
@click.option("--workers", type=click.IntRange(min=1), help="How many.  [default: one for each CPU]")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Of each worker.")
@engine_option
@click.option(
    "--heartbeat",
    type=click.FloatRange(min=1),
    default=20.0,
    show_default=True,
    help="Seconds between two signs of life; after three without, others take over.",
)
@click.option("--address", help="With --runner ray: of the cluster.  [default: the one around us, else a new one here]")
@json_option
def run(
    *,
    batch: str,
    runner: str,
    workers: int | None,
    threads: int,
    engine: str,
    heartbeat: float,
    address: str | None,
    as_json: bool,
) -> int:
    """Work on the batch in DIR until every shard has its rows. Safe to say again, and on many machines at once.

    \b
    local  processes of this machine
    index  the same, in a numbered task of Cloud Run Jobs, Kubernetes, SLURM or AWS Batch
    ray    actors of a Ray cluster (extra: scale)
    """  # noqa: D301 - \b is click's mark for lines that stay apart
    from animal_classification.common.limits import available_cpus
    from animal_classification.inference.engine import installed_engine
    from animal_classification.scale.plan import load_plan
    from animal_classification.scale.runners.local import RunOptions
    from animal_classification.scale.storage import open_folder

    if address is not None and runner != "ray":
        raise UsageError("--address is where a Ray cluster is: add --runner ray")
    installed_engine(engine)
    total = load_plan(open_folder(batch)).photos
    options = RunOptions(
        workers=workers or (0 if runner == "ray" else max(1, available_cpus() // threads)),
        threads=threads,
        engine=engine,
        heartbeat=heartbeat,
    )
    with sigterm_like_ctrl_c(), ProgressLine(shown=not as_json) as line:
        report = _run(batch, runner, options, address, _Counter(line, total))
    return _ended(batch, report, as_json=as_json)


@command.command()
@click.argument("batch", metavar="DIR")
@json_option
def status(*, batch: str, as_json: bool) -> None:
    """Say how far the batch in DIR is."""
    from animal_classification.scale.status import read_status
    from animal_classification.scale.storage import open_folder

    found = read_status(open_folder(batch))
    click.echo(json.dumps(found.as_object()) if as_json else _status_line(found))


@command.command()
@click.argument("batch", metavar="DIR")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    required=True,
    type=click.Path(path_type=Path),
    help="The table: .parquet or .csv; after a plan with --detector also .xlsx, .json or .jsonl.",
)
@click.option("--overwrite", is_flag=True, help="Replace FILE.")
@rule_options
@html_option
@json_option
def merge(*, batch: str, output: Path, overwrite: bool, html: str | None, as_json: bool, **options: Any) -> None:
    """Make one table of the rows of all shards, after a check that each is there once and whole.

    Most programs need no such table: they read DIR/out/*.parquet as one. After a plan with --detector, what is written
    are the tables of animals predict --detector: files, detections and events, by the rules that are given here.
    """
    from animal_classification.predict.field_request import FieldRules
    from animal_classification.predict.timeline import TimelineTarget
    from animal_classification.scale.merge import merge as merge_shards
    from animal_classification.scale.storage import open_folder

    page = None if html is None else TimelineTarget(html, overwrite)
    if page is not None:
        page.check()
    with ProgressLine(shown=not as_json) as line:
        made = merge_shards(
            open_folder(batch),
            output,
            rules=FieldRules(**options),
            page=page,
            overwrite=overwrite,
            told=lambda done, of: line("reading shards", done, of),
        )
    print_notes(made.notes)
    if as_json:
        click.echo(json.dumps({"output": made.output, "rows": made.rows, "errors": made.errors}))
    else:
        click.echo(f"{made.rows:,} rows, {made.errors:,} of them with an error -> {made.output}")
        if made.events is not None:
            click.echo(f"{made.events:,} event{'' if made.events == 1 else 's'} -> {html}")


def _run(batch: str, runner: str, options: RunOptions, address: str | None, counter: _Counter) -> RunReport:
    from dataclasses import replace

    from animal_classification.scale.runners.index import task_index
    from animal_classification.scale.runners.local import LocalRunner

    if runner == "ray":
        from animal_classification.scale.runners.ray import run_on_ray

        return run_on_ray(batch, options, address=address, told=counter)
    if runner == "index":
        task = task_index(os.environ)
        options = replace(options, start=task.start, share=1 / task.count)
    return LocalRunner(batch, options, told=counter).run()


def _ended(batch: str, report: RunReport, *, as_json: bool) -> int:
    if as_json:
        click.echo(
            json.dumps(
                {
                    "batch": batch,
                    "shards": report.shards,
                    "rows": report.rows,
                    "deaths": report.deaths,
                    "start_cpu_seconds": round(report.start_cpu, 3),
                    "errors": report.errors,
                }
            )
        )
    else:
        died = f"; {report.deaths} workers died and were followed by others" if report.deaths else ""
        say(f"{report.rows:,} rows in {report.shards:,} shards were written here{died}")
    if report.stopped:
        complain(f"interrupted: go on with animals batch run {batch}")
        return INTERRUPTED
    for error in report.errors[:5]:
        complain(error)
    return 1 if report.errors else 0


class _Counter:
    """Adds up rows for a line of progress."""

    def __init__(self, line: ProgressLine, total: int) -> None:
        self._line = line
        self._total = total
        self._done = 0

    def __call__(self, rows: int) -> None:
        self._done += rows
        self._line("photos done here", self._done, self._total)


def _plan_lines(batch: str, made: Plan, estimate: Estimate, skipped: int) -> list[str]:
    hours = estimate.core_hours
    many = f"; with 100 cores {_duration(hours / 100)}" if hours > 1 else ""
    work = f"{hours:,.1f} core hours" if hours >= 1 else f"{hours * 60:.1f} core minutes"
    files = "file that is no photo" if skipped == 1 else "files that are no photos"
    left_out = f"  not looked at: {skipped:,} {files} (--all-files gives each a row)"
    return [
        f"{estimate.photos:,} photos in {made.shards:,} shards, {_size(estimate.read_bytes)} -> {batch}",
        f"  work: {work}, at {CORE_MS_NOTE}{many}{'' if made.field_run is None else '; the detector comes on top'}",
        f"  reads: {estimate.reads:,} requests; writes: {_size(estimate.written_bytes)} in {made.shards:,} files",
        *([left_out] if skipped else []),
        f"next: animals batch run {batch}",
    ]


def _status_line(found: BatchStatus) -> str:
    share = found.rows / max(1, found.photos)
    state = [f"{found.working:,} in work"] if found.working else []
    state += [f"{found.left_behind:,} left by workers that are gone"] if found.left_behind else []
    return f"{found.rows:,} of {found.photos:,} photos ({share:.1%}), {found.done:,} of {found.shards:,} shards" + (
        f"; {', '.join(state)}" if state else ""
    )


def _size(count: int) -> str:
    value = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def _duration(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.0f} min"
