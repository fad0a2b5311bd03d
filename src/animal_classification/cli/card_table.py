"""What ``animals cards`` found: as lines for a terminal, as an object, as a file."""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.cells import cell_len, set_cell_size

from animal_classification.common.console import printable
from animal_classification.common.text_files import write_text
from animal_classification.field.card_report import COLUMNS, CardsReport, counted, gap_text
from animal_classification.field.card_tally import CardTally
from animal_classification.field.deployment import HERE
from animal_classification.predict.writers.text import csv_cell

_HEAD = ("deployment", "photos", "videos", "first", "last", "days", "longest gap")
_GAP = 2
_NARROWEST = 12


def card_lines(report: CardsReport, width: int | None = None) -> Iterator[str]:
    """A table with one line for each deployment, then what to look into.

    Args:
        report: What was found.
        width: Of the terminal, which lines keep to; None for a file or a pipe.
    """
    rows = [_HEAD, *(_cells(name, tally) for name, tally in report.tallies.items())]
    widths = [max(cell_len(row[column]) for row in rows) for column in range(len(_HEAD))]
    if width is not None:
        widths[0] = min(widths[0], max(width - sum(widths[1:]) - _GAP * (len(_HEAD) - 1), _NARROWEST))
    for row in rows:
        cells = [_padded(text, widths[column], column) for column, text in enumerate(row)]
        yield (" " * _GAP).join(cells).rstrip()
    yield ""
    yield from _wrapped(_total(report), "", width)
    if not report.warnings:
        yield "Nothing to look into."
        return
    yield f"{counted(len(report.warnings), 'thing')} to look into:"
    before = None
    for warning in report.warnings:
        if warning.deployment != before:
            yield f"  {_shown(warning.deployment)}" if warning.deployment else "  deployment sheet"
        before = warning.deployment
        yield from _wrapped(printable(warning.message), "    ", width)


def _wrapped(text: str, indent: str, width: int | None) -> list[str]:
    if width is None:
        return [indent + text]
    return textwrap.wrap(text, max(width, 40), initial_indent=indent, subsequent_indent=f"{indent}  ")


def _shown(deployment: str) -> str:
    """A deployment for a person, to whom a dot says nothing."""
    return "(this folder)" if deployment == HERE else printable(deployment)


def _cells(name: str, tally: CardTally) -> tuple[str, ...]:
    span = tally.span()
    counts = (f"{tally.photos:,}", f"{tally.videos:,}")
    if span is None:
        return (_shown(name), *counts, "no times", "", "", "")
    first, last = span.first.date().isoformat(), span.last.date().isoformat()
    return (_shown(name), *counts, first, last, f"{span.days:,}", gap_text(span.longest_gap))


def _padded(text: str, width: int, column: int) -> str:
    """Numbers to the right; of a name that is too long, the end says most."""
    if column in (1, 2, 5, 6):
        return " " * (width - cell_len(text)) + text
    if cell_len(text) > width:
        text = "…" + _end(text, width - 1)
    return set_cell_size(text, width)


def _end(text: str, width: int) -> str:
    while cell_len(text) > width:
        text = text[1:]
    return text


def _total(report: CardsReport) -> str:
    photos = sum(tally.photos for tally in report.tallies.values())
    videos = sum(tally.videos for tally in report.tallies.values())
    others: dict[str, int] = {}
    for tally in report.tallies.values():
        for ending, count in tally.others.items():
            others[ending] = others.get(ending, 0) + count
    beside = ""
    if others:
        most = sorted(others.items(), key=lambda pair: (-pair[1], pair[0]))
        listed = ", ".join(f"{count:,} {printable(ending)}" for ending, count in most[:4])
        beside = f"; other files: {listed}{' …' if len(most) > 4 else ''}"
    both = f"{counted(photos, 'photo')} and {counted(videos, 'video')}"
    return f"{both} in {counted(len(report.tallies), 'deployment')}{beside}."


def report_object(report: CardsReport) -> dict[str, Any]:
    """For scripts: all rows, and how the cards hang together."""
    return {
        "files": report.files,
        "deployments": list(report.rows()),
        "shared_pictures": [
            {"first": pair.first, "second": pair.second, "pictures": pair.photos, "times_differ": pair.times_differ}
            for pair in report.copies.between
        ],
        "warnings": [{"deployment": warning.deployment, "message": warning.message} for warning in report.warnings],
    }


def write_report(report: CardsReport, target: Path) -> None:
    """Write the rows as csv or json; whole or not at all.

    Raises:
        OutputError: The system refuses.
    """
    if target.suffix.lower() == ".json":
        write_text(json.dumps(report_object(report), ensure_ascii=False, indent=2) + "\n", target)
        return
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\r\n")
    lines.writerow(COLUMNS)
    for row in report.rows():
        lines.writerow([_cell(row[column]) for column in COLUMNS])
    write_text(text.getvalue(), target)


def _cell(value: Any) -> str:
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        value = " | ".join(value)
    elif isinstance(value, dict):
        value = " | ".join(f"{ending} {count}" for ending, count in value.items())
    return csv_cell(value)
