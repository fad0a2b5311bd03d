"""A field run without a table on disk: its rows on the standard output when it is done."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animal_classification.cli.row_output import Stdout
from animal_classification.cli.screen_table import percent
from animal_classification.common.console import printable
from animal_classification.errors import UsageError
from animal_classification.predict.job import run
from animal_classification.predict.writers.text import to_json

if TYPE_CHECKING:
    from animal_classification.predict.job import Listener, PredictResult
    from animal_classification.predict.request import PredictRequest


def field_rows_to_stdout(
    request: PredictRequest, listener: Listener, *, to_stdout: bool, as_json: bool
) -> PredictResult:
    """Run it into a temporary folder, and print what a pipe or a person wants of it.

    Raises:
        UsageError: Sorting is to be shown, which a field run cannot do without doing it.
        AnimalsError: The run cannot be done.
    """
    if request.dry_run:
        raise UsageError("--dry-run shows names of whole pictures: leave out --detector and what goes with it")
    on_screen = sys.stdout.isatty() and not (to_stdout or as_json or request.format)
    kind = "jsonl" if as_json or on_screen else request.table_format
    with tempfile.TemporaryDirectory(prefix="animals-predict-") as folder:
        table = Path(folder, f"animals.{kind}")
        result = run(replace(request, output=str(table), format=kind), listener=listener)
        summary = replace(result.summary, output=None)
        if table.is_file():
            _print(table, summary.as_object() if as_json else None, on_screen=on_screen)
        elif as_json:
            Stdout().write_json(to_json({**summary.as_object(), "predictions": []}) + b"\n")
        return replace(result, summary=summary, kept=None)


def _print(table: Path, summary: dict[str, Any] | None, *, on_screen: bool) -> None:
    out = Stdout()
    with table.open("rb") as file:
        if summary is not None:
            out.write_json(to_json(summary)[:-1] + b', "predictions": [')
            for number, line in enumerate(file):
                out.write_json((b",\n" if number else b"") + line.rstrip(b"\n"))
            out.write(b"]}\n")
            return
        for line in lines_for_people(file) if on_screen else file:
            out.write(line)


def lines_for_people(lines: Iterator[bytes]) -> Iterator[bytes]:
    """A line a photo, and one for each animal in it that counts."""
    for line in lines:
        row = json.loads(line)
        said = row["error"] or f"{row['answer'] or 'nothing'}{_percent(row['answer_probability'])}"
        counts = [_counted(row[f"{name}s"], name) for name in ("animal", "person", "vehicle") if row[f"{name}s"]]
        when = f"  {row['time'].replace('T', ' ')}" if row["time"] else ""
        yield f"{printable(row['path'])}{when}  {printable(said)}  {', '.join(counts)}".rstrip().encode() + b"\n"


def _percent(probability: float | None) -> str:
    return "" if probability is None else f" {percent(probability)}"


def _counted(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"
