"""Tables of any columns that grow row by row: csv, json, jsonl, parquet, or a sheet of a workbook."""

# Imported where they are used: DuckDB takes 60 ms to load, and workbooks come with the extra ``excel`` only.

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from animal_classification.errors import OutputError
from animal_classification.predict.writers.excel import MAX_CHARACTERS, MAX_ROWS, OPTIONS
from animal_classification.predict.writers.text import csv_cell, csv_line, csv_path, to_json

if TYPE_CHECKING:
    from xlsxwriter import Workbook
    from xlsxwriter.worksheet import Worksheet

    from animal_classification.predict.field_columns import Column

_TYPES = {"text": "VARCHAR", "time": "TIMESTAMP", "real": "DOUBLE", "whole": "BIGINT", "truth": "BOOLEAN"}
_PATHS = ("path", "best_path")  # to be found in the table of files, they are spelt as there
_WIDTHS = {"path": 40, "best_path": 40, "answer": 24, "label": 24, "error": 40, "decision_why": 40, "time": 19}


class OpenTable(Protocol):
    """Takes rows until its context ends."""

    def add(self, row: Mapping[str, Any]) -> None:
        """The next row, by names of columns; further names are left out, except in json."""
        ...


class CsvTable:
    """See ``writers.text`` for how cells are written."""

    def __init__(self, file: IO[bytes], columns: Sequence[Column]) -> None:
        self._file, self._names = file, [column.name for column in columns]
        file.write(csv_line(self._names))

    def add(self, row: Mapping[str, Any]) -> None:
        """One line."""
        self._file.write(csv_line([_cell(name, row.get(name)) for name in self._names]))


class JsonLinesTable:
    """An object a line."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def add(self, row: Mapping[str, Any]) -> None:
        """One line."""
        self._file.write(to_json(row) + b"\n")


class JsonTable:
    """An array with an object a line; ``close`` ends it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._before = file, b"[\n"

    def add(self, row: Mapping[str, Any]) -> None:
        """One line."""
        self._file.write(self._before + to_json(row))
        self._before = b",\n"

    def close(self) -> None:
        """The end of the array."""
        self._file.write(b"[\n]\n" if self._before == b"[\n" else b"\n]\n")


class SheetTable:
    """A sheet of a workbook; one that is full goes on in another."""

    def __init__(self, workbook: Workbook, name: str, columns: Sequence[Column], *, max_rows: int = MAX_ROWS) -> None:
        self._workbook, self._name, self._columns, self._max_rows = workbook, name, columns, max_rows
        self._time = workbook.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        self._bold = workbook.add_format({"bold": True})
        self._line, self._sheets = 0, 0
        self._sheet = self._next()

    def add(self, row: Mapping[str, Any]) -> None:
        """One row of cells."""
        self._line += 1
        if self._line == self._max_rows:
            self._sheet, self._line = self._next(), 1
        for index, column in enumerate(self._columns):
            self._write(index, column, row.get(column.name))

    def close(self) -> None:
        """Filters over all that was written last."""
        self._sheet.autofilter(0, 0, max(self._line, 1), len(self._columns) - 1)

    def _next(self) -> Worksheet:
        self._sheets += 1
        sheet = self._workbook.add_worksheet(self._name if self._sheets == 1 else f"{self._name} {self._sheets}")
        for index, column in enumerate(self._columns):
            sheet.set_column(index, index, _WIDTHS.get(column.name, 12))
            sheet.write_string(0, index, column.name, self._bold)
        sheet.freeze_panes(1, 1)
        return sheet

    def _write(self, index: int, column: Column, value: Any) -> None:
        if value is None or value == "":
            return
        if isinstance(value, bool):
            self._sheet.write_boolean(self._line, index, value)
        elif isinstance(value, (int, float)):
            self._sheet.write_number(self._line, index, value)
        elif column.kind == "time":
            self._sheet.write_datetime(self._line, index, datetime.fromisoformat(value), self._time)
        else:
            self._sheet.write_string(self._line, index, str(value)[:MAX_CHARACTERS])


@contextmanager
def open_text_table(path: Path, kind: str, columns: Sequence[Column]) -> Iterator[OpenTable]:
    """A table of its own at ``path``: ``csv``, ``json``, ``jsonl`` or ``parquet``.

    Raises:
        OutputError: The system refuses to write it.
    """
    if kind == "parquet":
        with _parquet(path, columns) as table:
            yield table
        return
    with path.open("wb") as file:
        if kind == "csv":
            yield CsvTable(file, columns)
        elif kind == "jsonl":
            yield JsonLinesTable(file)
        else:
            array = JsonTable(file)
            yield array
            array.close()


@contextmanager
def open_workbook(path: Path) -> Iterator[Workbook]:
    """A workbook at ``path``, written row by row with flat memory.

    Raises:
        OutputError: The system refuses to write it.
    """
    import xlsxwriter
    from xlsxwriter.exceptions import FileCreateError

    workbook = xlsxwriter.Workbook(str(path), {**OPTIONS, "tmpdir": str(path.parent)})
    yield workbook
    try:
        workbook.close()
    except FileCreateError as error:
        raise OutputError(f"cannot write {str(path)!r}: {error}") from error


@contextmanager
def _parquet(path: Path, columns: Sequence[Column]) -> Iterator[OpenTable]:
    """Rows as lines first: DuckDB reads them in one go, within its memory."""
    from animal_classification.data.duckdb_parquet import connect, literal, quoted

    types = ", ".join(f"{quoted(column.name)}: {quoted(_TYPES[column.kind])}" for column in columns)
    names = {column.name for column in columns}
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        lines = Path(folder, "rows.jsonl")
        with lines.open("wb") as file:
            yield _ChosenLines(file, names)
        with connect(memory_limit="128MB") as database:
            import duckdb

            source = f"read_json($1, format = 'newline_delimited', columns = {{{types}}})"
            try:
                # The target cannot be a parameter.
                statement = f"COPY (SELECT * FROM {source}) TO {quoted(str(path))} (FORMAT parquet)"  # noqa: S608
                database.execute(statement, [literal(lines)])
            except duckdb.Error as error:
                raise OutputError(f"cannot write {str(path)!r}: {str(error).splitlines()[0]}") from error


class _ChosenLines:
    """Lines with the given names only; an empty text is nothing."""

    def __init__(self, file: IO[bytes], names: set[str]) -> None:
        self._file, self._names = file, names

    def add(self, row: Mapping[str, Any]) -> None:
        chosen = {name: None if row.get(name) == "" else row.get(name) for name in self._names}
        self._file.write(to_json(chosen) + b"\n")


def _cell(name: str, value: Any) -> str:
    if name == "offset":  # our own words, and no formula: +02:00
        return str(value or "")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return csv_path(str(value)) if name in _PATHS else csv_cell(value)
