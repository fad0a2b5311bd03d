"""Tables of any kind as rows of text: CSV, TSV, JSON lines, Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from animal_classification.data.sources.listing import Columns
from animal_classification.errors import AnimalsError, UsageError

TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
_SEPARATORS = ",;\t|"
# The first that a table has is taken.
ALIASES = {
    "path": (
        *("path", "file_path", "filepath", "file", "file_name", "filename", "image", "image_path", "img", "img_path"),
        *("photo", "image_file", "image_id", "relative_path"),
    ),
    "label": (
        *("label", "labels", "class", "class_name", "classname", "label_name", "species", "animal", "category"),
        *("target", "common_name", "scientific_name", "y"),
    ),
    "split": ("split", "set", "subset", "partition", "dataset_split"),
    "group": (
        *("group", "group_id", "individual", "individual_id", "sequence", "sequence_id", "seq_id", "burst", "event_id"),
        *("site", "site_id", "location", "location_id", "camera", "camera_id", "deployment", "deployment_id"),
    ),
}


@dataclass(frozen=True)
class Table:
    """Names of columns, and rows of text."""

    where: str
    columns: list[str]
    rows: list[list[str]]

    def index(self, meaning: str, wanted: str | None, *, required: bool = False) -> int | None:
        """Which column holds a path, label, split or group.

        Args:
            meaning: A key of ``ALIASES``.
            wanted: The name that the caller gave, if any.
            required: Whether to refuse a table without it.

        Raises:
            UsageError: There is none; names the columns found and the nearest.
        """
        if wanted is not None:
            if wanted in self.columns:
                return self.columns.index(wanted)
            raise UsageError(f"{self.where} has no column {wanted!r}{self._found((wanted,))}")
        plain = [column.strip().casefold().replace(" ", "_").replace("-", "_") for column in self.columns]
        for alias in ALIASES[meaning]:
            if alias in plain:
                return plain.index(alias)
        if required:
            raise UsageError(
                f"{self.where} has no column for the {meaning}{self._found(ALIASES[meaning])}; "
                f"rename one, or name it with --{meaning}-column"
            )
        return None

    def indices(self, columns: Columns) -> tuple[int, int, int | None, int | None]:
        """Columns of path, label, split and group.

        Raises:
            UsageError: Path or label are missing.
        """
        path = self.index("path", columns.path, required=True)
        label = self.index("label", columns.label, required=True)
        assert path is not None
        assert label is not None
        return path, label, self.index("split", columns.split), self.index("group", columns.group)

    def _found(self, wanted: tuple[str, ...]) -> str:
        folded = {column.casefold(): column for column in self.columns}
        near = [match for word in wanted for match in get_close_matches(word, folded, n=1, cutoff=0.6)]
        guess = f"; nearest: {folded[near[0]]!r}" if near else ""
        return f"; it has {', '.join(map(repr, self.columns)) or 'none at all'}{guess}"


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
        elif suffix in (".jsonl", ".ndjson"):
            table = _read_lines(file)
        else:
            table = _read_csv(file)
    except OSError as error:
        raise AnimalsError(f"cannot read {str(file)!r}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{str(file)!r} is not UTF-8 text; save it again as UTF-8") from error
    except (csv.Error, ValueError) as error:
        raise UsageError(f"{str(file)!r} cannot be read as {suffix[1:] or 'csv'}: {error}") from error
    if not table.rows:
        raise UsageError(f"{str(file)!r} has no rows")
    return table


def _read_csv(file: Path) -> Table:
    with file.open(encoding="utf-8-sig", newline="") as text:
        first = text.readline()
        separator = max(_SEPARATORS, key=first.count)
        text.seek(0)
        rows = [row for row in csv.reader(text, delimiter=separator, strict=True) if any(row)]
    if not rows:
        raise UsageError(f"{str(file)!r} is empty")
    columns, body = rows[0], rows[1:]
    for number, row in enumerate(body, start=2):
        if len(row) != len(columns):
            raise UsageError(f"{str(file)!r}, row {number}: {len(row)} cells where the header has {len(columns)}")
    return Table(repr(str(file)), columns, body)


def _read_lines(file: Path) -> Table:
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(_nonempty_lines(file), start=1):
        value = json.loads(line)
        if not isinstance(value, dict):
            raise UsageError(f'{str(file)!r}, row {number}: not an object such as {{"path": …, "label": …}}')
        rows.append(value)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return Table(repr(str(file)), columns, [[_text(row.get(column)) for column in columns] for row in rows])


def _nonempty_lines(file: Path) -> Iterator[str]:
    with file.open(encoding="utf-8-sig") as text:
        yield from (line for line in text if line.strip())


def _read_parquet(file: Path) -> Table:
    import duckdb

    from animal_classification.data import parquet

    try:
        columns, rows = parquet.read_table(file)
    except duckdb.Error as error:
        raise UsageError(f"{str(file)!r} is not Parquet ({str(error).splitlines()[0]})") from error
    return Table(repr(str(file)), columns, [[_text(value) for value in row] for row in rows])


def _text(value: Any) -> str:
    return "" if value is None else str(value)
