"""Numbers in ``metrics.csv``, pictures in ``pictures/``, in the run's own folder."""

from __future__ import annotations

import csv
import errno
import io
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from animal_classification.common.atomic import write_bytes
from animal_classification.tracking.metric_names import picture_file
from animal_classification.tracking.tracker import NoTracker

if TYPE_CHECKING:
    from animal_classification.config.schema import Config
    from animal_classification.training.run import Run

HEADER = ("step", "name", "value")
_Row = tuple[int, str, str]


class CsvTracker(NoTracker):
    """A row for each number, written at once: a killed run loses none.

    A run that goes on from a checkpoint repeats the steps after it. At the first row that is there already, that row
    and all after it are cut off: what is in the file is one undisturbed sequence.
    """

    def __init__(self, folder: Path, *, resumed: bool) -> None:
        self._folder = folder
        self._path = folder / "metrics.csv"
        self._earlier: dict[tuple[int, str], int] = {}  # row to the position in the file where it begins
        end = 0
        if resumed and self._path.exists():
            self._earlier, end = _positions(self._path.read_bytes())
        self._file = self._path.open("r+b" if end else "wb", buffering=0)
        if end:
            self._cut(end)
        else:
            self._write([HEADER])

    def log_metrics(self, values: Mapping[str, float], *, step: int) -> None:
        repeated = [self._earlier[step, name] for name in values if (step, name) in self._earlier]
        if repeated:
            self._cut(min(repeated))
            self._earlier.clear()
        self._write([(step, name, repr(float(value))) for name, value in values.items()])

    def log_image(self, name: str, png: bytes, *, step: int) -> None:
        write_bytes(png, self._folder / "pictures" / picture_file(name, step), durable=False)

    def close(self, *, failed: bool) -> None:
        self._file.close()

    def _cut(self, end: int) -> None:
        self._file.seek(end)
        self._file.truncate()

    def _write(self, rows: list[_Row] | list[tuple[str, str, str]]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        data = text.getvalue().encode("utf-8", "backslashreplace")
        try:
            if self._file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            self._file.close()
            raise


def open_csv(config: Config, run: Run) -> CsvTracker:
    """Write into the run's folder.

    Raises:
        OSError: The system refuses.
    """
    return CsvTracker(run.path, resumed=run.resumed)


def read_metrics(path: Path) -> dict[str, dict[int, float]]:
    """The numbers of a ``metrics.csv``: by name, by step."""
    found: dict[str, dict[int, float]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["name"], {})[int(row["step"])] = float(row["value"])
    return found


def _positions(data: bytes) -> tuple[dict[tuple[int, str], int], int]:
    """Where each row begins, and where the last whole row ends."""
    found: dict[tuple[int, str], int] = {}
    begin = 0
    for line in _whole_rows(data):
        row = next(csv.reader([line.decode("utf-8")]))
        if tuple(row) != HEADER:
            found.setdefault((int(row[0]), row[1]), begin)
        begin += len(line)
    return found, begin


def _whole_rows(data: bytes) -> list[bytes]:
    """Rows that end; a name in quotes may itself hold the end of a line."""
    rows: list[bytes] = []
    pending = b""
    for line in re.findall(rb"[^\n]*\n", data):
        pending += line
        if pending.endswith(b"\n") and pending.count(b'"') % 2 == 0:
            rows.append(pending)
            pending = b""
    return rows
