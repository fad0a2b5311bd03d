"""Tables as text: csv, json and jsonl, written row by row and read back for ``--resume``; parquet.py is the fourth."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Literal, cast, get_args

from animal_classification.errors import UsageError
from animal_classification.inference.table import SET_SEPARATOR, Guess, Row, columns, is_row

Format = Literal["csv", "json", "jsonl", "parquet"]
FORMATS: tuple[str, ...] = get_args(Format)

# A spreadsheet takes a cell that begins like this for a formula, and runs it. In front of a path "./" changes nothing;
# the words of a bundle, which may come from a stranger too, get the apostrophe by which spreadsheets mark text.
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
            return _csv_line(columns(self._top_k))
        return b"[" if self._kind == "json" else b""

    def row(self, row: Row) -> bytes:
        if self._kind == "csv":
            return _csv_line(cells(row, self._top_k))
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
    with path.open(encoding="utf-8", newline="") as file:
        try:
            yield from reader(file)
        except (ValueError, csv.Error, TypeError) as error:
            raise UsageError(
                f"cannot go on with {str(path)!r}: it is not a {kind} table of animals predict with --top-k {top_k} "
                f"({error}); give another --output"
            ) from error


def to_json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")


def cells(row: Row, top_k: int) -> list[str]:
    """A row as text, in the order of ``columns``."""
    guesses = [text for guess in row["top"][1:] for text in (_as_text(guess["label"]), _number(guess["probability"]))]
    missing = 2 * (top_k - 1) - len(guesses)
    return [
        f"./{row['path']}" if row["path"].startswith(FORMULA_STARTS) else row["path"],
        _as_text(row["label"]),
        _as_text(row["label_id"]),
        _number(row["probability"]),
        _as_text(row["group"]),
        _number(row["group_probability"]),
        "" if row["unknown"] is None else str(row["unknown"]).lower(),
        _as_text(SET_SEPARATOR.join(row["set"])),
        *guesses,
        *[""] * missing,
        _as_text(row["model"]),
        _as_text(row["model_version"]),
        _as_text(row["error"]),
    ]


def from_cells(texts: list[str], top_k: int) -> Row:
    """The inverse of ``cells``, but for the ids of the second and further labels, which a csv does not hold."""
    if len(texts) != len(columns(top_k)):
        raise ValueError(f"a row has {len(texts)} cells")
    texts = [texts[0], *map(_from_text, texts[1:])]
    path, label, label_id, probability, group, group_probability, unknown, labels = texts[:8]
    first: list[Guess] = [{"label": label, "label_id": label_id, "probability": float(probability)}] if label else []
    others: list[Guess] = [
        {"label": name, "label_id": None, "probability": float(number)}
        for name, number in zip(texts[8:-3:2], texts[9:-3:2], strict=True)
        if name
    ]
    return {
        "path": path[2:] if path.startswith("./") and path[2:].startswith(FORMULA_STARTS) else path,
        "label": label or None,
        "label_id": label_id or None,
        "probability": float(probability) if probability else None,
        "group": group or None,
        "group_probability": float(group_probability) if group_probability else None,
        "unknown": {"true": True, "false": False, "": None}[unknown],
        "set": labels.split(SET_SEPARATOR) if labels else [],
        "top": first + others,
        "model": texts[-3],
        "model_version": texts[-2],
        "error": texts[-1] or None,
    }


def _as_text(words: str | None) -> str:
    """Words as a cell that no spreadsheet takes for a formula; ``_from_text`` is the inverse."""
    text = words or ""
    return f"'{text}" if text.lstrip("'").startswith(FORMULA_STARTS) else text


def _from_text(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(FORMULA_STARTS) else cell


def _number(value: float | None) -> str:
    if value is None:
        return ""
    # Never 1e-06, which some readers of csv take for text.
    return f"{value:.6f}".rstrip("0").removesuffix(".")


def _csv_line(texts: list[str]) -> bytes:
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
