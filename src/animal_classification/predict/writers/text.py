"""Tables as text: csv, json and jsonl, written row by row and read back for ``--resume``.

Workbooks are in ``excel``, Parquet is in ``parquet``.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Literal, cast, get_args

from animal_classification.errors import UsageError
from animal_classification.predict.table import Row, Value, columns, from_values, is_probability, is_row, to_values

Format = Literal["csv", "xlsx", "json", "jsonl", "parquet"]
FORMATS: tuple[str, ...] = get_args(Format)

# A spreadsheet takes a cell that begins like this for a formula, and runs it. Names of files can come from a stranger,
# and so can the labels and the name of a model; in front of a path "./" changes nothing, in front of the others an
# apostrophe says that it is text.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


def format_of(path: str) -> Format | None:
    """The format that a file's ending stands for."""
    ending = Path(path).suffix.lower().removeprefix(".")
    return cast("Format", ending) if ending in FORMATS else None


class TextWriter:
    """Rows as bytes, in one of the text formats: ``start``, then each ``row``, then ``end``.

    Args:
        kind: ``csv``, ``json`` or ``jsonl``.
        top_k: As asked for; fixes the columns of ``csv``.
    """

    def __init__(self, kind: Format, top_k: int) -> None:
        self._kind = kind
        self._top_k = top_k
        self._first = True

    def start(self) -> bytes:
        if self._kind == "csv":
            return csv_line(columns(self._top_k))
        return b"[" if self._kind == "json" else b""

    def row(self, row: Row) -> bytes:
        if self._kind == "csv":
            return csv_line(cells(row, self._top_k))
        line = to_json(row)
        if self._kind == "jsonl":
            return line + b"\n"
        separator, self._first = (b"\n" if self._first else b",\n"), False
        return separator + line

    def end(self) -> bytes:
        return b"\n]\n" if self._kind == "json" else b""


def write_text(rows: Iterable[Row], file: IO[bytes], kind: Format, top_k: int) -> None:
    """Write a whole table."""
    writer = TextWriter(kind, top_k)
    file.write(writer.start())
    for row in rows:
        file.write(writer.row(row))
    file.write(writer.end())


def read_text(path: Path, kind: Format, top_k: int) -> Iterator[Row]:
    """Read back a table that ``write_text`` made, row by row.

    Raises:
        UsageError: It is something else, or was made with another ``top_k``.
    """
    reader: Callable[[IO[str]], Iterator[Row]] = {"csv": _csv_reader(top_k), "json": _read_json}.get(kind, _read_lines)
    with path.open(encoding="utf-8-sig", newline="") as file:  # the page marks its tables
        try:
            yield from reader(file)
        except (ValueError, csv.Error, TypeError, RecursionError) as error:
            raise UsageError(
                f"cannot go on with {str(path)!r}: it is not a {kind} table of animals predict with --top-k {top_k} "
                f"({error}); give another --output"
            ) from error


def to_json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")


def cells(row: Row, top_k: int) -> list[str]:
    """A row as text for a csv, in the order of ``columns``."""
    path, *values = to_values(row, top_k)
    return [csv_path(str(path)), *map(csv_cell, values)]


def csv_path(name: str) -> str:
    """A path that no spreadsheet takes for a formula; it leads to the same file."""
    return f"./{name}" if name.startswith(FORMULA_STARTS) else name


def from_cells(texts: list[str], top_k: int) -> Row:
    """The inverse of ``cells``, but for the ids of the second and further labels, which a csv does not hold."""
    names = columns(top_k)
    if len(texts) != len(names):
        raise ValueError(f"a row has {len(texts)} cells")
    path = texts[0]
    plain = path[2:] if path.startswith("./") and path[2:].startswith(FORMULA_STARTS) else path
    values = [_value(name, text) for name, text in zip(names[1:], texts[1:], strict=True)]
    return from_values([plain, *values])


def csv_cell(value: Value) -> str:
    """A value as text that no spreadsheet takes for a formula."""
    if isinstance(value, bool):
        return str(value).lower()
    return _number(value) if isinstance(value, float) else _text(value)


def _value(column: str, text: str) -> Value:
    if not text:
        return None
    if column == "unknown":
        return {"true": True, "false": False}[text]
    return float(text) if is_probability(column) else _plain(text)


def _text(value: str | None) -> str:
    """A cell that no spreadsheet takes for a formula."""
    text = value or ""
    return f"'{text}" if text.lstrip("'").startswith(FORMULA_STARTS) else text


def _plain(cell: str) -> str:
    """The inverse of ``_text``."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(FORMULA_STARTS) else cell


def _number(value: float) -> str:
    # Never 1e-06, which some readers of csv take for text.
    return f"{value:.6f}".rstrip("0").removesuffix(".")


def csv_line(texts: list[str]) -> bytes:
    """One line of a csv, with its end."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(texts)
    return line.getvalue().encode("utf-8")


def _csv_reader(top_k: int) -> Callable[[IO[str]], Iterator[Row]]:
    def read(file: IO[str]) -> Iterator[Row]:
        lines = csv.reader(file, strict=True)
        if next(lines, None) != columns(top_k):
            raise ValueError("it has other columns")
        for texts in lines:
            yield from_cells(texts, top_k)

    return read


def _read_lines(file: IO[str]) -> Iterator[Row]:
    return (_row(json.loads(line)) for line in file)


def _read_json(file: IO[str]) -> Iterator[Row]:
    # Line by line, as it was written: json.load would hold the whole table.
    if next(file, "") != "[\n":
        raise ValueError("its lines were laid out by another program")
    for line in file:
        if line == "]\n":
            return
        yield _row(json.loads(line.rstrip(",\n")))
    raise ValueError("its end is missing")


def _row(value: Any) -> Row:
    if not is_row(value):
        raise ValueError("a line of it is no row")
    return cast("Row", value)
