"""A table on disk that grows row by row, survives being killed, and appears whole.

While a run lasts, rows go to a journal beside the table; at the end the table is made from it under another name and
renamed. Only a file that is such a table, in any of the formats, is replaced unasked.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

from animal_classification.common.atomic import new_file, remove_leftovers
from animal_classification.errors import OutputError, UsageError
from animal_classification.predict.field_columns import FILE_COLUMNS
from animal_classification.predict.journal import KEPT, Journal, JournalEntry, write_failed
from animal_classification.predict.journal_header import JournalHeader
from animal_classification.predict.table import Row, columns, is_row
from animal_classification.predict.writers import excel, parquet
from animal_classification.predict.writers.excel import read_excel, require_excel, write_excel
from animal_classification.predict.writers.parquet import read_parquet, write_parquet
from animal_classification.predict.writers.text import Format, read_text, write_text

State = Literal["written", "kept apart"]
# A row is some hundred bytes, and a thousand guesses a hundred thousand.
_LONGEST_LINE = 1 << 20


class TableFile:
    """A table to be written at ``path``; from its making to ``close`` no other run can write it.

    Args:
        path: As the user gave it; a link is followed.
        kind: The format.
        resume: Go on with what is there, instead of starting afresh.
        overwrite: Replace a file there even if it is no table of ours.
        threads: For the formats that can use several.

    Raises:
        OutputError: It cannot be written there, or another run is doing so.
        UsageError: It is no file, or somebody else's; or an unfinished run would be lost.
    """

    def __init__(
        self, path: str, kind: Format, *, resume: bool = False, overwrite: bool = False, threads: int = 1
    ) -> None:
        self.path = checked_target(path, kind)
        if not (resume or overwrite) and self.path.exists() and not is_own_table(self.path):
            raise UsageError(
                f"{path!r} is there, and no table that animals predict wrote: give another --output, or --overwrite"
            )
        self._kind = kind
        self._threads = threads
        self._journal = Journal(_beside(self.path, ".partial"))
        if not resume and self._journal.has_rows():
            self._journal.close()
            raise UsageError(
                f"{str(self._journal.path)!r} holds an unfinished run: add --resume to go on with it, or delete it"
            )

    @staticmethod
    def files(path: str) -> tuple[Path, ...]:
        """Every file that a table at ``path`` may consist of while it is made."""
        target = Path(path).resolve()
        return (target, _beside(target, ".partial"), _beside(target, ".partial.new"))

    def start(self, header: JournalHeader, *, guesses: int, resume: bool) -> Iterator[JournalEntry]:
        """Begin, or go on; returns the rows that are there already.

        Args:
            header: What kind of run this is.
            guesses: How many labels each row's ``top`` holds.
            resume: As at the making.

        Raises:
            UsageError: What is there was begun with other options.
        """
        there = self.path.exists()
        if not resume or (self._journal.header is None and not there):
            self._journal.begin(replace(header, replaces=there))
        elif self._journal.header is not None:
            if different := self._journal.header.differences(header):
                raise UsageError(
                    f"{str(self._journal.path)!r} was begun with {'; '.join(different)}: "
                    "give the same, or delete it to start afresh"
                )
            self._journal.recover()
            self._settle()
        else:
            self._seed(replace(header, table_time=self.path.stat().st_mtime_ns), guesses)
        return self._journal.entries()

    @property
    def time(self) -> int | None:
        """When the finished table was written that is gone on with, in nanoseconds."""
        return self._journal.header.table_time if self._journal.header else None

    def append(self, entry: JournalEntry) -> None:
        """Add a row; it is safe when this returns."""
        self._journal.append(entry)

    def finish(self) -> None:
        """Write the table; the journal is no longer needed."""
        self._settle()
        self._write(self._journal.path)
        self._journal.close(remove=True)

    def stop(self) -> State:
        """Write the table of what is done, unless the complete table of an earlier run is there; keep the journal."""
        header = self._journal.header
        if header is not None and header.replaces:
            return "kept apart"
        self._settle()
        self._write(self._journal.path)
        return "written"

    def close(self, *, discard: bool = False) -> None:
        """Let go. With ``discard``, nothing was done that is worth keeping."""
        self._journal.close(remove=discard)

    def _write(self, journal: Path) -> None:
        header = self._journal.header
        assert header is not None
        rows = (entry.row for entry in self._journal.entries())
        try:
            remove_leftovers(self.path)  # nobody else has the journal
            with new_file(self.path, parents=False) as new:
                if self._kind == "xlsx":
                    write_excel(rows, new, header.top_k)
                elif self._kind == "parquet":
                    write_parquet(journal, new, top_k=header.top_k, threads=self._threads)
                else:
                    with new.open("wb") as file:
                        write_text(rows, file, self._kind, header.top_k)
        except OSError as error:
            hint = "; the rows are safe: make room and go on with --resume"
            raise write_failed(self.path, error, hint) from error

    def _settle(self) -> None:
        """Put rows that were made again into the place of the earlier ones: one row for each path."""
        newest = {entry.row["path"]: entry for entry in self._journal.entries() if entry.again}
        if not newest:
            return
        assert self._journal.header is not None
        settled: set[str] = set()
        with self._rewritten(self._journal.header) as new:
            for entry in self._journal.entries():
                path = entry.row["path"]
                if path not in newest:
                    new.append(entry)
                elif path not in settled:
                    settled.add(path)
                    new.append(replace(newest[path], again=False))

    @contextmanager
    def _rewritten(self, header: JournalHeader) -> Iterator[Journal]:
        """A new journal that takes the place of the present one when the block ends, or never."""
        new = Journal(_beside(self.path, ".partial.new"))
        try:
            new.begin(header)
            yield new
            new.become(self._journal)
        except BaseException:
            new.close(remove=True)
            raise
        self._journal = new

    def _seed(self, header: JournalHeader, guesses: int) -> None:
        """Go on from a finished table: put its rows into the journal, all of them or, if killed, none."""
        if _beside(self.path, KEPT).is_file():
            raise UsageError(
                f"{str(self.path)!r} has the columns of --detector, --detections or another option of the field: "
                "repeat these, or give another --output"
            )
        with self._rewritten(header) as new:
            for row in self._read(header.top_k):
                self._compare(row, header, guesses)
                new.append(JournalEntry(row))

    def _compare(self, row: Row, header: JournalHeader, guesses: int) -> None:
        made = f"model {row['model']} {row['model_version']}"
        wanted = f"model {header.model} {header.model_version}"
        if made == wanted and row["error"] is None and len(row["top"]) != guesses:
            made, wanted = f"{len(row['top'])} guesses a photo", f"{guesses} (--top-k)"
        if made != wanted:
            raise UsageError(
                f"{str(self.path)!r} was made with {made}, not {wanted}: give the same, or another --output"
            )

    def _read(self, top_k: int) -> Iterator[Row]:
        if self._kind == "xlsx":
            return read_excel(self.path, top_k)
        if self._kind == "parquet":
            return read_parquet(self.path, top_k)
        return read_text(self.path, self._kind, top_k)


def checked_target(path: str, kind: Format) -> Path:
    """Where a table goes, if one can be written there; links are followed.

    Raises:
        UsageError: It is no file, or the format needs an extra.
        OutputError: It cannot be written there.
    """
    target = Path(path).resolve()
    if kind == "xlsx":
        require_excel()
    if target.is_dir():
        raise UsageError(f"--output {path!r} is a folder; give the name of a file in it")
    if target.exists() and not target.is_file():
        raise UsageError(f"--output {path!r} is not a regular file; use --output - for the standard output")
    if not target.parent.is_dir():
        raise OutputError(f"cannot write {path!r}: there is no folder {str(target.parent)!r}; make it first")
    if kind == "parquet" and any("\ud800" <= character <= "\udfff" for character in str(target)):
        raise UsageError(f"--output {path!r}: the name of a parquet file must be valid UTF-8")
    if target.exists() and not os.access(target, os.W_OK):
        raise OutputError(f"cannot write {path!r}: permission denied")
    return target


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


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
    except (ValueError, csv.Error):
        return False


def _is_text_table(first: str, second: str) -> bool:
    if first == "[\n":
        return second == "]\n" or _is_row(second.rstrip(",\n"))
    return _is_row(first) if first.startswith("{") else _has_columns(next(csv.reader([first]), []))


def _is_row(line: str) -> bool:
    try:
        return is_row(json.loads(line))
    except (ValueError, RecursionError):
        return False


def _has_columns(names: list[str]) -> bool:
    more = [column.name for column in FILE_COLUMNS]
    if names[-len(more) :] == more:
        names = names[: -len(more)]
    fixed = len(columns(1))
    return len(names) >= fixed and names == columns(1 + (len(names) - fixed) // 2)


def _workbook_columns(path: Path) -> list[str]:
    require_excel()
    return excel.read_columns(path)


def _parquet_columns(path: Path) -> list[str]:
    try:
        return parquet.read_columns(path)
    except UsageError:
        return []
