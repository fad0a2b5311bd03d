"""``animals cards``: what is on memory cards, before any model runs."""

# Imported where they are used: NumPy and Pillow come with the photos, and --help needs none of them.

from __future__ import annotations

import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from animal_classification.cli.interrupts import sigterm_like_ctrl_c
from animal_classification.cli.options import json_option
from animal_classification.cli.output import print_json, print_lines
from animal_classification.common.console import complain
from animal_classification.common.progress import ProgressLine
from animal_classification.errors import AnimalsError, UsageError

if TYPE_CHECKING:
    from animal_classification.data.discovery import WalkLog

ENDINGS = (".csv", ".json")


@click.command(name="cards")
@click.argument("paths", metavar="CARDS...", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--deployments", metavar="FILE", help="Your sheet of deployments, .csv or .xlsx: see docs/times.md.")
@click.option(
    "--time-from",
    type=click.Choice(["name"]),
    help="Take times from names such as IMG_20260106_143715.jpg as well, where a file has none.",
)
@click.option("-o", "--output", metavar="FILE", help="Write one row for each deployment to FILE: .csv or .json.")
@click.option("--overwrite", is_flag=True, help="Replace FILE if it is there.")
@click.option("--threads", type=click.IntRange(min=1), help="Files that are read at once.  [default: CPUs]")
@json_option
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def command(paths: tuple[str, ...], output: str | None, as_json: bool, quiet: bool, **options: Any) -> int:
    """See what is on memory cards, before any model runs.

    CARDS are folders: of one card, or one that holds a folder for each card or station. For each deployment: how many
    photos and videos, from when to when, the longest gap, and what is wrong with clocks, copies and files. Nothing is
    changed. Photos that are one file twice are found even if their times differ.

    \b
    animals cards D:\\
    animals cards season-2026 --deployments field-sheet.xlsx
    animals cards season-2026 --output cards.csv
    """  # noqa: D301 - \b is click's mark for lines that stay apart
    from animal_classification.cli.card_table import card_lines, report_object, write_report
    from animal_classification.data.discovery import PhotoPaths, WalkLog
    from animal_classification.field.camera_clock import TimeRules
    from animal_classification.field.card_report import CardsCheck
    from animal_classification.field.deployment import Deployments
    from animal_classification.field.deployment_sheet import read_deployments

    _check_output(output, overwrite=options["overwrite"])
    check = CardsCheck(
        rules=TimeRules(from_names=options["time_from"] == "name"),
        deployments=read_deployments(options["deployments"]) if options["deployments"] else Deployments(),
        threads=options["threads"],
    )
    files = PhotoPaths(paths, all_files=True, leave_out=[Path(output)] if output else [])
    log = WalkLog()
    with sigterm_like_ctrl_c(), ProgressLine(shown=not quiet) as progress:
        report = check.run(files.walk(log), lambda done: progress.describe(f"looking at files: {done:,}"))
    if not report.files and not log.lost:  # an unplugged card must not empty yesterday's table
        raise AnimalsError(f"no photos and no videos in {', '.join(map(repr, paths[:3]))}")
    if output and report.files:
        write_report(report, Path(output))
    if as_json:
        print_json(report_object(report))
    else:
        print_lines(card_lines(report, shutil.get_terminal_size().columns if sys.stdout.isatty() else None))
    return _exit_code(log)


def _check_output(output: str | None, *, overwrite: bool) -> None:
    if output is None:
        if overwrite:
            raise UsageError("--overwrite replaces a file: name it with --output")
        return
    if Path(output).suffix.lower() not in ENDINGS:
        raise UsageError(f"--output {output!r} ends in neither .csv nor .json; change it")
    there = False
    with suppress(OSError, ValueError):
        there = Path(output).exists()
    if there and not overwrite:
        raise UsageError(f"{output!r} is there already; give another --output, or --overwrite to replace it")


def _exit_code(log: WalkLog) -> int:
    if log.lost:
        folder, why = next(iter(log.lost.items()))
        more = f" and {len(log.lost) - 1} more" if len(log.lost) > 1 else ""
        complain(f"cannot read the folder {folder!r}{more} ({why}): its files are missing from the result")
        return 1
    return 0
