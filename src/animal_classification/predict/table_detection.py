"""Whether a file is a table that ``animals predict`` wrote, in any of its formats: only those are replaced unasked."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from animal_classification.errors import OutputError
from animal_classification.predict.table import columns, is_row

# A row is some hundred bytes, and a thousand guesses a hundred thousand.
_LONGEST_LINE = 1 << 20


def is_own_table(path: Path) -> bool:
    """Whether a file has the columns that a table of predictions has, or nothing in it.

    Raises:
        OutputError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            first, second = file.readline(_LONGEST_LINE), file.readline(_LONGEST_LINE)
    except OSError as error:
        raise OutputError(f"cannot read {str(path)!r}, which would be replaced: {error.strerror}") from error
    if not first:
        return True
    if first.startswith(b"PAR1"):
        return _has_columns(_parquet_columns(path))
    if first.startswith(b"PK"):
        return _has_columns(_workbook_columns(path))
    try:
        return _is_text_table(first.decode("utf-8"), second.decode("utf-8"))
    except ValueError:
        return False


def _is_text_table(first: str, second: str) -> bool:
    if first == "[\n":
        return second == "]\n" or _is_row(second.rstrip(",\n"))
    return _is_row(first) if first.startswith("{") else _has_columns(next(csv.reader([first]), []))


def _is_row(line: str) -> bool:
    try:
        return is_row(json.loads(line))
    except ValueError:
        return False


def _has_columns(names: list[str]) -> bool:
    fixed = len(columns(1))
    return len(names) >= fixed and names == columns(1 + (len(names) - fixed) // 2)


def _workbook_columns(path: Path) -> list[str]:
    from animal_classification.predict.writers.excel import read_columns, require_excel

    require_excel()
    return read_columns(path)


def _parquet_columns(path: Path) -> list[str]:
    import duckdb

    from animal_classification.predict.writers.parquet import read_columns

    try:
        return read_columns(path)
    except duckdb.Error:
        return []
