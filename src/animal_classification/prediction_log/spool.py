"""Rows on disk that wait for the database: append-only files, of which each process writes its own.

    FOLDER/<when>-<pid>.lock              the process that writes these holds it
    FOLDER/<when>-<pid>.00000001.rows     lines of ``Record.to_line``, in order

A line is in its file before the answer leaves, so that killing the process loses nothing. What a dead process left is
taken over by a living one, which sees from the lock that the other is dead. Nothing that is open is renamed or deleted,
because Windows does not do that.

Rows that the database refuses go to the quarantine, one file a day; moved to the spool, such a file is tried again:

    FOLDER/2026-11-29.rows                lines of ``Record.to_line``
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from animal_classification.common.file_lock import locked
from animal_classification.errors import OutputError

SEGMENT_BYTES = 4 * 1024 * 1024
_SUFFIX, _LOCK = ".rows", ".lock"
# Earlier versions had a folder for each process, with the lock in it.
_EARLIER_LOCK = "lock"


class Spool:
    """The files of this process.

    Args:
        root: Where all processes have theirs; made where it is not there.
        limit: Bytes that may wait, those of all processes together; what comes beyond is dropped.

    Raises:
        OutputError: The folder cannot be written.
    """

    def __init__(self, root: Path, limit: int) -> None:
        self.root = root
        self._limit = limit
        self._guard = threading.Lock()
        self._number = 0
        self._file = -1
        self._active_bytes = self._closed_bytes = self._others_bytes = 0
        self._synced = True
        try:
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.name, self._lock = _own_name(root)
        except OSError as error:
            raise OutputError(
                f"{root}: the prediction log cannot be written here ({error.strerror}); name another folder with "
                "ANIMALS_LOG_FOLDER"
            ) from error
        self.look()

    @property
    def waiting_bytes(self) -> int:
        """Bytes that wait in the files of this process."""
        return self._active_bytes + self._closed_bytes

    @property
    def all_bytes(self) -> int:
        """Bytes that wait in the files of all processes, dead or alive, as of the last :meth:`look`."""
        return self.waiting_bytes + self._others_bytes

    def look(self) -> None:
        """See how much waits in the files of others."""
        others = sum(size for path, size, _ in row_files(self.root) if not path.name.startswith(f"{self.name}."))
        with self._guard:
            self._others_bytes = others

    def append(self, line: bytes) -> bool:
        """Let a line wait; from any thread. Returns whether it is in a file now."""
        with self._guard:
            if self.all_bytes + len(line) > self._limit:
                return False
            try:
                if self._file < 0:
                    self._open_next()
                self._write(line)
            except OSError:
                return False
            self._synced = False
            if self._active_bytes >= SEGMENT_BYTES:
                self._close_active()
            return True

    def rotate(self) -> list[Path]:
        """Close the file that is written to; returns all that are closed, the oldest first."""
        with self._guard:
            self._close_active()
            return segments(self.root, self.name)  # before a next one is begun: what is given out gets no more lines

    def remove(self, segment: Path) -> None:
        """Its rows are in the database."""
        size = segment.stat().st_size
        segment.unlink()
        with self._guard:
            self._closed_bytes -= size

    def forget_older(self, days: float) -> int:
        """Delete files to which nothing was added for so many days, of this process and of dead ones; returns how many.

        Args:
            days: How old they may become.
        """
        limit, deleted = time.time() - 86400 * days, 0
        for path in self._closed():
            with suppress(OSError):
                if path.stat().st_mtime < limit:
                    self.remove(path)
                    deleted += 1
        for files in orphans(self.root, self.name):
            for path in files:
                with suppress(OSError):
                    if path.stat().st_mtime < limit:
                        path.unlink()
                        deleted += 1
        return deleted

    def _closed(self) -> list[Path]:
        with self._guard:
            return segments(self.root, self.name)[: -1 if self._file >= 0 else None]

    def sync(self) -> None:
        """Make what waits survive a power failure, too."""
        with self._guard:
            if self._synced or self._file < 0:
                return
            self._synced = True
            descriptor = os.dup(self._file)  # others go on writing meanwhile
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Release the lock; another process takes over what still waits."""
        with suppress(OSError):
            self.sync()
        with self._guard:
            self._close_active()
            self._limit = 0
        os.close(self._lock)
        if not segments(self.root, self.name):
            with suppress(OSError):
                (self.root / f"{self.name}{_LOCK}").unlink()

    def _open_next(self) -> None:
        self._number += 1
        path = self.root / f"{self.name}.{self._number:08d}{_SUFFIX}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0)
        self._file = os.open(path, flags, 0o600)

    def _write(self, line: bytes) -> None:
        written = os.write(self._file, line)
        if written == len(line):
            self._active_bytes += written
            return
        os.ftruncate(self._file, self._active_bytes)  # the disk is full: half a line is none
        raise OSError("the disk is full")

    def _close_active(self) -> None:
        if self._file < 0:
            return
        os.close(self._file)
        self._file = -1
        self._closed_bytes += self._active_bytes
        self._active_bytes = 0


@dataclass(frozen=True, slots=True)
class SpooledRows:
    """What waits in all files under a folder.

    Attributes:
        bytes: In all.
        files: How many.
        oldest: Seconds since the oldest file was begun; 0 without any.
    """

    bytes: int = 0
    files: int = 0
    oldest: float = 0.0


def segments(root: Path, name: str) -> list[Path]:
    """The files of one process, the oldest first."""
    earlier = (root / name).glob(f"*{_SUFFIX}")
    mine = (path for path in root.glob(f"{name}*{_SUFFIX}") if path.name.partition(".")[0] == name)
    return [*sorted(earlier), *sorted(mine)]


def waiting(root: Path) -> SpooledRows:
    """What waits under ``root``, of all processes, dead or alive."""
    found = list(row_files(root))
    oldest = min((changed for _, _, changed in found), default=0.0)
    return SpooledRows(
        bytes=sum(size for _, size, _ in found),
        files=len(found),
        oldest=max(0.0, time.time() - oldest) if found else 0.0,
    )


def orphans(root: Path, mine: str) -> Iterator[list[Path]]:
    """The files that each dead process left, the oldest process first; nobody else has them until the next is asked."""
    for name in sorted(_names(root) - {mine}):
        with suppress(OSError):  # another one has just taken it over
            yield from _orphan(root, name)


def _own_name(root: Path) -> tuple[str, int]:
    """A name for this process, and the lock on it."""
    while True:
        name = f"{time.time_ns():020d}-{os.getpid()}"
        path = root / f"{name}{_LOCK}"
        lock = locked(path)  # or somebody who looks for files of the dead has been quicker
        if lock is not None:
            return name, lock


def _orphan(root: Path, name: str) -> Iterator[list[Path]]:
    locks = _locks(root, name)
    if locks is None:
        return
    try:
        yield segments(root, name)
    finally:
        for path, lock in locks.items():
            os.close(lock)  # first: what is open cannot be deleted everywhere
            if not segments(root, name):
                with suppress(OSError):
                    path.unlink()
        with suppress(OSError):
            (root / name).rmdir()


def _locks(root: Path, name: str) -> dict[Path, int] | None:
    """The locks on a process's files; ``None`` where it lives, or somebody else has them."""
    held: dict[Path, int] = {}
    earlier = root / name / _EARLIER_LOCK
    for path in (root / f"{name}{_LOCK}", *([earlier] if earlier.exists() else [])):
        lock = locked(path)
        if lock is None:
            for descriptor in held.values():
                os.close(descriptor)
            return None
        held[path] = lock
    return held


def _names(root: Path) -> set[str]:
    """The processes that have, or had, files here."""
    found: set[str] = set()
    with suppress(OSError):  # somebody has deleted the folder
        for path in root.iterdir():
            if not path.name.startswith(".") and (path.suffix in {_SUFFIX, _LOCK} or path.is_dir()):
                found.add(path.name.partition(".")[0])
    return found


def row_files(root: Path) -> Iterator[tuple[Path, int, float]]:
    """All files with rows, their sizes, and when they were last changed."""
    for pattern in (f"*{_SUFFIX}", f"*/*{_SUFFIX}"):
        for path in root.glob(pattern):
            with suppress(OSError):  # drained meanwhile
                status = path.stat()
                yield path, status.st_size, status.st_mtime


class Quarantine:
    """A folder of rows that were refused.

    Args:
        root: Made when the first row comes.
        limit: Bytes that all of them may have; what comes beyond is not kept.
    """

    def __init__(self, root: Path, limit: int) -> None:
        self.root = root
        self._limit = limit

    def keep(self, line: bytes) -> Path | None:
        """Set a row aside; from any process. Returns the file that it is in now; ``None`` where it cannot be."""
        path = self.root / f"{datetime.now(UTC):%Y-%m-%d}{_SUFFIX}"
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            if sum(file.stat().st_size for file in self.root.glob(f"*{_SUFFIX}")) + len(line) > self._limit:
                return None
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
            descriptor = os.open(path, flags, 0o600)
            try:
                whole = os.write(descriptor, line) == len(line)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError:
            return None
        return path if whole else None

    def forget_older(self, days: float) -> None:
        """Delete files to which nothing was added for so many days."""
        for path in self.root.glob(f"*{_SUFFIX}"):
            with suppress(OSError):
                if path.stat().st_mtime < time.time() - 86400 * days:
                    path.unlink()
