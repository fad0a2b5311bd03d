"""The journal of a run: a line of JSON per row beside the table to be, so that a killed run loses nothing.

The first line says which run it is. Lines are appended in order, each in one write, so that whatever kills the run
leaves at most one torn line, which is cut off when the run goes on. The file is locked while a run uses it.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from animal_classification.common.file_lock import locked
from animal_classification.errors import OutputError, UsageError
from animal_classification.predict.journal_header import MARK, JournalHeader, header_of
from animal_classification.predict.table import Row, is_row
from animal_classification.predict.writers.text import to_json

UNFINISHED = ".partial"
"""How the name of the journal ends while its run is not finished: its last row may be torn then."""
KEPT = ".run.jsonl"
"""How the name of the journal ends that stays beside the tables of a finished field run."""
_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_LONGEST_HEADER = 16 * 1024 * 1024
_SYNC_EVERY = 8 * 1024 * 1024

FileState = tuple[int, int]


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """A row, and what is known besides.

    Attributes:
        row: For the table.
        state: Size in bytes and time of change in nanoseconds of the file that was read; ``None`` if unknown.
        again: An earlier row of the same path does not count any more.
        evidence: In a field run, all that was found in the file (``predict.evidence``).
    """

    row: Row
    state: FileState | None = None
    again: bool = False
    evidence: dict[str, Any] | None = None

    def to_line(self) -> bytes:
        """For a journal."""
        more: dict[str, Any] = {"state": self.state, "again": self.again}
        if self.evidence is not None:
            more["evidence"] = self.evidence
        return to_json({**self.row, **more}) + b"\n"


@dataclass(frozen=True, slots=True)
class EarlierRow:
    """What the table of a resumed run says of a photo: enough to leave it as it is, or to do it again.

    Attributes:
        failed: It could not be read.
        unknown: It is none of the labels.
        answer: The name that was given.
        state: Of the file that was read, if that was noted down.
    """

    failed: bool
    unknown: bool
    answer: str | None
    state: FileState | None

    @classmethod
    def of(cls, entry: JournalEntry) -> EarlierRow:
        """Of a row in the journal."""
        row = entry.row
        return cls(row["error"] is not None, row["unknown"] is True, row["answer"], entry.state)

    def is_outdated(self, path: str, table_time: int | None) -> bool:
        """Whether the file has changed since.

        Args:
            path: Where it is now.
            table_time: When the row was written at the latest, in nanoseconds, where it has no state.
        """
        try:
            status = os.stat(path)  # noqa: PTH116 - for every photo of a table
        except OSError:
            return False  # gone: what is known of it stays
        if self.state is not None:
            return self.state != (status.st_size, status.st_mtime_ns)
        # Replacing a file may keep the time of its content, as copying from a card does, but not that of its inode.
        return table_time is not None and max(status.st_mtime_ns, status.st_ctime_ns) > table_time


class Journal:
    """The journal at ``path``, opened and locked; made when it is not there.

    Raises:
        OutputError: It cannot be written, or another run has it.
        UsageError: There is a file by that name which is not a journal.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = _open_locked(path)
        self._unsynced = 0
        try:
            self.header, self._body = self._read_header()
        except BaseException:
            os.close(self._file)
            raise

    def has_rows(self) -> bool:
        return self.header is not None and next(self._lines(), None) is not None

    def begin(self, header: JournalHeader) -> None:
        """Start afresh: whatever the file held is gone."""
        line = header.to_line()
        try:
            os.ftruncate(self._file, 0)
            self._write(line)
        except OSError as error:
            raise write_failed(self.path, error) from error
        self.header, self._body = header, len(line)

    def recover(self) -> None:
        """Cut off what is not a whole row: only the last line can be torn, or a whole tail after a power failure."""
        end = self._body
        for end, _ in self._lines():  # noqa: B007 - the last one is what counts
            pass
        os.ftruncate(self._file, end)

    def entries(self) -> Iterator[JournalEntry]:
        for _, entry in self._lines():
            yield entry

    def append(self, entry: JournalEntry) -> None:
        """Add a row; from now on it survives the end of this process.

        Raises:
            OutputError: The disk is full, or gone.
        """
        try:
            self._write(entry.to_line())
        except OSError as error:
            raise write_failed(self.path, error, "; what is done is kept: make room and go on with --resume") from error

    def become(self, other: Journal) -> None:
        """Take the place of another journal, whose rows are gone."""
        if sys.platform == "win32":
            other.close()
            os.close(self._file)
            self.path.replace(other.path)
            self._file = _open_locked(other.path)
        else:
            self.path.replace(other.path)
            other.abandon()
        self.path = other.path

    def abandon(self) -> None:
        """Let go of the file, which no longer has its name."""
        os.close(self._file)
        self._file = -1

    def close(self, *, remove: bool = False) -> None:
        """Let go of the file; deletes it if asked to, or if nothing was ever written to it."""
        if self._file < 0:
            return
        empty = os.fstat(self._file).st_size == 0
        if (remove or empty) and sys.platform != "win32":
            self.path.unlink(missing_ok=True)
        os.close(self._file)
        self._file = -1
        if (remove or empty) and sys.platform == "win32":  # where an open file cannot be deleted
            self.path.unlink(missing_ok=True)

    def _write(self, data: bytes) -> None:
        os.lseek(self._file, 0, os.SEEK_END)
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]
        self._unsynced += len(data)
        if self._unsynced > _SYNC_EVERY:
            os.fsync(self._file)
            self._unsynced = 0

    def _read_header(self) -> tuple[JournalHeader | None, int]:
        with self.path.open("rb") as file:
            line = file.readline(_LONGEST_HEADER)
        if not line.endswith(b"\n"):
            if line and not f'{{"{MARK}"'.encode().startswith(line[: len(MARK) + 3]):
                raise self._foreign()
            return None, 0  # killed before the first line was whole
        try:
            header = header_of(line)
        except ValueError as error:
            raise self._foreign() from error
        if header is None:
            raise UsageError(
                f"{str(self.path)!r} was begun by another version of animals: "
                "go on with that one, or delete it to start afresh"
            )
        return header, len(line)

    def _foreign(self) -> UsageError:
        return UsageError(
            f"{str(self.path)!r} is needed for keeping track but is some other file; move it or give another --output"
        )

    def _lines(self) -> Iterator[tuple[int, JournalEntry]]:
        """Whole rows, each with the position of its end, up to the first line that is not one."""
        with self.path.open("rb") as file:
            file.seek(self._body)
            end = self._body
            for line in file:
                entry = _parse(line)
                if entry is None:
                    return
                end += len(line)
                yield end, entry


def stored_entries(path: Path) -> Iterator[tuple[int, JournalEntry]]:
    """The whole rows of a journal that nobody writes any more, each with its position for ``entry_at``.

    Raises:
        OutputError: It is that of a finished run, and damaged: tables made from it would lack rows.
    """
    with path.open("rb") as file:
        place = len(file.readline(_LONGEST_HEADER))
        for number, line in enumerate(file):
            entry = _parse(line)
            if entry is None:
                if path.name.endswith(KEPT):
                    raise OutputError(
                        f"{str(path)!r} is damaged after {number:,} rows, perhaps a copy that was cut short: "
                        "copy it again, or make it whole with animals predict --resume"
                    )
                return
            yield place, entry
            place += len(line)


def entry_at(file: IO[bytes], place: int) -> JournalEntry:
    """One row of a journal that is open.

    Raises:
        OutputError: The file has changed since.
    """
    file.seek(place)
    entry = _parse(file.readline())
    if entry is None:
        raise OutputError(f"{file.name!r} changed while it was read; try again when no run writes it")
    return entry


def stored_header(path: Path) -> JournalHeader:
    """The first line of a journal, which is not locked.

    Raises:
        UsageError: It is no journal, or of another version.
    """
    with suppress(ValueError), path.open("rb") as file:
        header = header_of(file.readline(_LONGEST_HEADER))
        if header is not None:
            return header
    raise UsageError(f"{str(path)!r} is no journal that this version of animals predict wrote")


def file_state(path: str) -> FileState | None:
    """Of a file as it is now; ``None`` where it is gone."""
    try:
        status = os.stat(path)  # noqa: PTH116 - for every photo of a run
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns


def write_failed(path: Path, error: OSError, hint: str = "") -> OutputError:
    """What to tell about a write that the system refused."""
    if error.errno in _FULL:
        return OutputError(f"cannot write {str(path)!r}: the disk is full{hint or '; make room and try again'}")
    why = (error.strerror or type(error).__name__).lower()
    return OutputError(f"cannot write {str(path)!r}: {why}{hint}")


def _parse(line: bytes) -> JournalEntry | None:
    if not line.endswith(b"\n"):
        return None
    try:
        row = json.loads(line)
        if not is_row(row):
            return None
        state, again, evidence = row.pop("state", None), row.pop("again", False), row.pop("evidence", None)
        known = None if state is None else (int(state[0]), int(state[1]))
    except (ValueError, TypeError, LookupError, RecursionError):
        return None
    if not isinstance(evidence, dict | None):
        return None
    return JournalEntry(cast("Row", row), known, bool(again), evidence)


def _open_locked(path: Path) -> int:
    try:
        file = locked(path, mode=0o666, needed=False)
    except OSError as error:
        raise write_failed(path, error) from error
    if file is None:
        raise OutputError(
            f"another run is writing {str(path.with_suffix(''))!r}; wait for it, or give another --output"
        )
    return file
