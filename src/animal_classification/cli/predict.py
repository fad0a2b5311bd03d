"""``animals predict``: names for the animals in photos."""

# Imported where they are used: the job loads NumPy, Pillow and pydantic, and --help needs none of them.

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

import click

from animal_classification.cli.field_options import box_options, html_option, rule_options
from animal_classification.cli.interrupts import sigterm_like_ctrl_c
from animal_classification.cli.options import engine_option, json_option
from animal_classification.cli.output import print_notes
from animal_classification.common.console import complain, printable, say
from animal_classification.predict.writers.text import FORMATS

if TYPE_CHECKING:
    from animal_classification.cli.progress_bar import ProgressBar
    from animal_classification.predict.job import PredictResult
    from animal_classification.predict.request import PredictRequest

INTERRUPTED = 130


@click.command(name="predict")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Write the table to FILE: .csv, .xlsx (Excel), .json, .jsonl or .parquet; - for stdout.",
)
@click.option("--format", type=click.Choice(FORMATS), help="Format of the table, whatever FILE ends with.")
@click.option("--top-k", type=click.IntRange(1, 1000), default=5, show_default=True, help="How many guesses per photo.")
@click.option("--resume", is_flag=True, help="Go on with the unfinished or finished table in --output.")
@click.option("--retry-errors", is_flag=True, help="With --resume: look again at photos that could not be read.")
@click.option("--overwrite", is_flag=True, help="Replace FILE even if it is no table that this command wrote.")
@click.option("--all-files", is_flag=True, help="A row for every file, whatever its name ends with.")
@click.option("--sort-into", metavar="DIR", help="Put the photos into a folder per animal below DIR.")
@click.option("--copy", "way", flag_value="copy", default=None, help="Sort by copying (the default).")
@click.option("--link", "way", flag_value="link", help="Sort by hard links, which take no space.")
@click.option("--symlink", "way", flag_value="symlink", help="Sort by symbolic links.")
@click.option(
    "--keep-folders",
    is_flag=True,
    default=None,
    help="Sort into DIR/ANIMAL/FOLDERS of the photo.  [default: with a field option, if two names are equal]",
)
@click.option("--dry-run", is_flag=True, help="Show what --sort-into would do; write nothing at all.")
@click.option(
    "--model",
    default="photos",
    show_default=True,
    help="A built-in name, a bundle's folder or URL, or NAME@ALIAS of the registry.",
)
@box_options
@rule_options
@html_option
@engine_option
@click.option("--threads", type=click.IntRange(min=1), help="CPUs to use.  [default: all]")
@json_option
@click.option("-q", "--quiet", is_flag=True, help="No progress and no summary.")
def command(output: str | None, as_json: bool, quiet: bool, **options: Any) -> int:
    """Name the animals in photos.

    PATH is a photo, a folder (read with all its subfolders) or a quoted pattern such as 'photos/**/*.jpg'. Every file
    gets a row; one that cannot be read says why. Without --output, a terminal gets a table and a pipe gets csv.

    \b
    animals predict my-photos
    animals predict my-photos --output animals.csv
    animals predict my-photos --sort-into sorted --dry-run
    """  # noqa: D301 - \b is click's mark for lines that stay apart
    from animal_classification.cli.progress_bar import ProgressBar
    from animal_classification.cli.row_output import ObjectSink, check_output, open_sink, print_object
    from animal_classification.inference.engine import installed_engine
    from animal_classification.predict.field_request import FieldRequest
    from animal_classification.predict.job import run
    from animal_classification.predict.request import PredictRequest

    installed_engine(options["engine"])
    page = options.pop("html")
    field = FieldRequest.of_options(options)
    if page is not None and field is None:
        field = FieldRequest()
    request = PredictRequest(output=None if output == "-" else output, field=field, **options)
    check_output(request, to_stdout=output == "-", as_json=as_json)
    if page is not None:
        _check_page(page, request)
    if field is not None and not request.writes_table:
        return _without_table(request, to_stdout=output == "-", as_json=as_json, quiet=quiet)
    with sigterm_like_ctrl_c(), open_sink(request, to_stdout=output == "-", as_json=as_json) as sink:
        rows_on_screen = sys.stdout.isatty() and not isinstance(sink, (ObjectSink, NoneType))
        with closing(ProgressBar(shown=not quiet and not rows_on_screen)) as bar:
            result = run(request, sink=sink, listener=bar)
            if as_json:
                print_object(result.summary.as_object(), sink)
            _say(result, quiet=quiet)
            if page is not None and result.succeeded:
                _write_page(page, request, quiet=quiet)
            return _exit_code(result, request, bar)


def _check_page(page: str, request: PredictRequest) -> None:
    """Refuse a page that cannot be made, before any work is done."""
    from animal_classification.errors import UsageError
    from animal_classification.predict.timeline import TimelineTarget

    if not request.writes_table:
        raise UsageError("--html is made from a table and its journal: name it with --output, without --dry-run")
    TimelineTarget(page, request.overwrite).check()


def _write_page(page: str, request: PredictRequest, *, quiet: bool) -> None:
    """The timeline of a run that is done."""
    from animal_classification.predict.convert import find_journal
    from animal_classification.predict.timeline import TimelineTarget, timeline_of

    assert request.field is not None
    target = TimelineTarget(page, request.overwrite)
    events = timeline_of(find_journal(str(request.output)), request.field.rules, target, threads=request.threads)
    if not quiet:
        say(f"{events} event{'' if events == 1 else 's'} -> {printable(page)}")


def _without_table(request: PredictRequest, *, to_stdout: bool, as_json: bool, quiet: bool) -> int:
    """A field run to the standard output: bursts and events are known at its end, so its rows come then."""
    from animal_classification.cli.field_output import field_rows_to_stdout
    from animal_classification.cli.progress_bar import ProgressBar

    with sigterm_like_ctrl_c(), closing(ProgressBar(shown=not quiet)) as bar:
        result = field_rows_to_stdout(request, bar, to_stdout=to_stdout, as_json=as_json)
        _say(result, quiet=quiet)
        return _exit_code(result, request, bar)


def _say(result: PredictResult, *, quiet: bool) -> None:
    print_notes(result.summary.notes)
    if not quiet and not result.summary.interrupted and result.summary.tally.photos:
        for line in result.summary.lines():
            say(line)


def _exit_code(result: PredictResult, request: PredictRequest, bar: ProgressBar) -> int:
    """Say what went wrong, if anything did."""
    if result.summary.interrupted:
        total = bar.final_total()
        of = "" if total is None else f" of {total}"
        complain(f"interrupted: {result.summary.tally.photos}{of} done{_kept(result, request)}")
        return INTERRUPTED
    if result.problem is not None:
        complain(result.problem)
        return 1
    return 0


def _kept(result: PredictResult, request: PredictRequest) -> str:
    if result.kept is None:
        return ""
    name = str(Path(request.output or "").resolve())
    if result.kept == "kept apart":
        return f", kept beside {name!r}, which stays as it was; go on with --resume"
    return f", kept in {name!r}; go on with --resume"
