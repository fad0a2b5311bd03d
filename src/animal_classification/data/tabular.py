"""Tables of any kind as rows of text: CSV, TSV, JSON lines, Excel workbooks, Parquet."""

# Imported where they are used: the reader of workbooks is an extra, and DuckDB takes 60 ms to load.

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, time
from pathlib import Path
from typing import Any, TextIO

from animal_classification.common.json_text import load_json
from animal_classification.common.reading_budget import CELL, ROW, ReadingBudget
from animal_classification.common.suggest import alike
from animal_classification.data import duckdb_parquet
from animal_classification.data.workbook_bounds import check_workbook
from animal_classification.errors import AnimalsError, MissingExtraError, UsageError

TABLE_SUFFIXES = (".csv", ".tsv", ".xlsx", ".jsonl", ".ndjson", ".parquet")
_SEPARATORS = ",;\t|"
_SHOWN, _COMPARED = 40, 1000  # columns in a message, and columns that a mistyped name is looked for among


@dataclass(frozen=True)
class Table:
    """Names of columns, and rows of text.

    Attributes:
        where: The file, for messages.
        columns: Their names.
        rows: The cells below them.
        lines: Where each row stands, as a spreadsheet counts; empty where the file has no such lines.
    """

    where: str
    columns: list[str]
    rows: list[list[str]]
    lines: list[int] = field(default_factory=list)

    def line(self, row: int) -> int:
        """Where a row stands, by its place in ``rows``; the names of the columns are line 1, unless lines are known."""
        return self.lines[row] if self.lines else row + 2

    def names_near(self, wanted: Iterable[str]) -> str:
        """The columns that there are, and the nearest to what was looked for: the end of a message."""
        folded = {column.casefold(): column for column in self.columns[:_COMPARED]}
        near = [match for word in wanted for match in alike(word, folded)]
        guess = f"; nearest: {folded[near[0]]!r}" if near else ""
        more = f" and {len(self.columns) - _SHOWN} more" if len(self.columns) > _SHOWN else ""
        return f"; it has {', '.join(map(repr, self.columns[:_SHOWN])) or 'none at all'}{more}{guess}"


def read_table(file: Path) -> Table:
    """Read a table by what its name ends with.

    Raises:
        UsageError: It is empty, or no table.
        AnimalsError: It cannot be read.
    """
    suffix = file.suffix.lower()
    try:
        if suffix == ".parquet":
            table = _read_parquet(file)
        elif suffix == ".xlsx":
            table = _read_workbook(file)
        elif suffix in (".jsonl", ".ndjson"):
            table = _read_lines(file)
        else:
            table = _read_csv(file)
    except OSError as error:
        raise AnimalsError(f"cannot read {str(file)!r}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{str(file)!r} is not UTF-8 text; save it again as UTF-8 (in Excel: CSV UTF-8)") from error
    except (csv.Error, ValueError) as error:
        raise UsageError(f"{str(file)!r} cannot be read as {suffix[1:] or 'csv'}: {error}") from error
    if not table.rows:
        raise UsageError(f"{str(file)!r} has no rows")
    return table


def read_sheets(file: Path) -> dict[str, Table]:
    """Every sheet of a workbook that has rows, by its name, in the workbook's order.

    Raises:
        MissingExtraError: The reader of workbooks is not installed.
        UsageError: It is no workbook.
        AnimalsError: It cannot be read.
    """
    try:
        with _complaints():
            workbook = _open_workbook(file)
            kinds = [(about.name, about.typ) for about in workbook.sheets_metadata]
            found = {
                name: _sheet_table(workbook.get_sheet_by_name(name), f"{str(file)!r}, sheet {name!r}")
                for name, kind in kinds
                if kind == type(kind).WorkSheet  # not a chart
            }
    except OSError as error:
        raise AnimalsError(f"cannot read {str(file)!r}: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{str(file)!r} cannot be read as xlsx: {error}") from error
    return {name: table for name, table in found.items() if table.rows}


def plain_name(column: str) -> str:
    """A column's name in lower case, without spaces, hyphens and underscores."""
    return re.sub(r"[\W_]+", "", column.casefold())


def _read_csv(file: Path) -> Table:
    with file.open(encoding=_encoding_of(file), newline="") as text:
        return _csv_table(text, repr(str(file)))


def _encoding_of(file: Path) -> str:
    with file.open("rb") as stream:
        return _encoding(stream.read(2))


def _encoding(beginning: bytes) -> str:
    """UTF-8, unless a byte order mark says UTF-16, as in what Excel calls Unicode text."""
    return "utf-16" if beginning[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def table_from_bytes(data: bytes, where: str) -> Table:
    """A CSV table that is not a file by itself, such as a member of a zip; it may have no rows.

    Rows may end early, as spreadsheets write them: the cells that are missing are empty.

    Raises:
        UsageError: It is empty, or no table.
    """
    try:
        return _csv_table(io.StringIO(data.decode(_encoding(data)), newline=""), repr(where), short=True)
    except UnicodeDecodeError as error:
        raise UsageError(f"{where!r} is not UTF-8 text; save it again as UTF-8 (in Excel: CSV UTF-8)") from error
    except csv.Error as error:
        raise UsageError(f"{where!r} cannot be read as csv: {error}") from error


def _csv_table(text: TextIO, where: str, *, short: bool = False) -> Table:
    first = text.readline()
    separator = max(_SEPARATORS, key=first.count)
    text.seek(0)
    reader = csv.reader(text, delimiter=separator, strict=True)
    budget = ReadingBudget(where)
    numbered = []
    for number, row in enumerate(reader, start=1):
        if any(row):
            budget.take(_memory(row))
            numbered.append((number, row))
    if not numbered:
        raise UsageError(f"{where} is empty")
    columns, body = numbered[0][1], numbered[1:]
    for number, row in body:
        if short and len(row) < len(columns):
            budget.take(CELL * (len(columns) - len(row)))
            row.extend([""] * (len(columns) - len(row)))
        if len(row) != len(columns):
            raise UsageError(f"{where}, row {number}: {len(row)} cells where the header has {len(columns)}")
    return Table(where, columns, [row for _, row in body], [number for number, _ in body])


def _read_workbook(file: Path) -> Table:
    """The first sheet of a workbook."""
    with _complaints():
        return _sheet_table(_open_workbook(file).get_sheet_by_index(0), repr(str(file)))


@contextmanager
def _complaints() -> Iterator[None]:
    """Whatever the reader of workbooks says against one of them is a ``ValueError``."""
    try:
        from python_calamine import CalamineError
    except ImportError as error:
        raise MissingExtraError("reading an .xlsx table", "excel") from error
    try:
        yield
    except CalamineError as error:
        raise ValueError(str(error)) from error


def _open_workbook(file: Path) -> Any:
    from python_calamine import CalamineWorkbook

    check_workbook(file)
    return CalamineWorkbook.from_path(str(file))


def _sheet_table(sheet: Any, where: str) -> Table:
    """A sheet, whose first line that is not empty names the columns."""
    lines = sheet.to_python(skip_empty_area=True)
    first = 1 + (sheet.start[0] if sheet.start else 0)  # the empty area above and beside the cells is left out
    texts = [[_as_text(value) for value in line] for line in lines]
    numbered = [(number, row) for number, row in enumerate(texts, start=first) if any(row)]
    body = numbered[1:]
    names = numbered[0][1] if numbered else []
    return Table(where, names, [row for _, row in body], [number for number, _ in body])


def _as_text(value: object) -> str:
    """A cell as people see it: whole numbers without a point, days without a time."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, date | time) else str(value)


def _read_lines(file: Path) -> Table:
    rows: list[dict[str, Any]] = []
    budget = ReadingBudget(repr(str(file)))
    for number, line in enumerate(_nonempty_lines(file), start=1):
        value = load_json(line.encode("utf-8"), str(file), budget)
        if not isinstance(value, dict):
            raise UsageError(f'{str(file)!r}, row {number}: not an object such as {{"path": …, "label": …}}')
        rows.append(value)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    budget.take(len(rows) * (ROW + CELL * len(columns)))  # each row may have brought a column of its own
    return Table(repr(str(file)), columns, [[_text(row.get(column)) for column in columns] for row in rows])


def _nonempty_lines(file: Path) -> Iterator[str]:
    with file.open(encoding=_encoding_of(file)) as text:
        yield from (line for line in text if line.strip())


def _read_parquet(file: Path) -> Table:
    import duckdb

    try:
        columns, rows = duckdb_parquet.read_table(file)
    except duckdb.Error as error:
        raise UsageError(f"{str(file)!r} is not Parquet ({str(error).splitlines()[0]})") from error
    return Table(repr(str(file)), columns, [[_text(value) for value in row] for row in rows])


def _memory(row: list[str]) -> int:
    """Bytes that a row takes here, and as long again with those who read it."""
    return ROW + CELL * len(row) + sum(map(len, row))


def _text(value: Any) -> str:
    return "" if value is None else str(value)
