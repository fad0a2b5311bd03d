"""Rows on disk that wait for the database: append-only files, of which each process writes its own.

    FOLDER/<when>-<pid>/lock                the process that writes here holds it
    FOLDER/<when>-<pid>/00000001.rows       lines of ``Record.to_line``, in order

A line is in its file before the answer leaves, so that killing the process loses nothing. What a dead process left is
taken over by a living one, which sees from the lock that the other is dead.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from animal_classification.errors import OutputError
from animal_classification.prediction_log.locking import locked

SEGMENT_BYTES = 4 * 1024 * 1024
_SUFFIX, _LOCK = ".rows", "lock"


class Spool:
    """The files of this process.

    Args:
        root: Where all processes have theirs; made where it is not there.
        limit: Bytes that may wait; what comes beyond is dropped.

    Raises:
        OutputError: The folder cannot be written.
    """

    def __init__(self, root: Path, limit: int) -> None:
        self.root = root
        self._limit = limit
        self._guard = threading.Lock()
        self._number = 0
        self._file = -1
        self._active: Path | None = None
        self._active_bytes = self._closed_bytes = 0
        self._synced = True
        try:
            self.folder, self._lock = _own_folder(root)
        except OSError as error:
            raise OutputError(
                f"{root}: the prediction log cannot be written here ({error.strerror}); name another folder with "
                "ANIMALS_LOG_FOLDER"
            ) from error

    @property
    def waiting_bytes(self) -> int:
        """Bytes that wait."""
        return self._active_bytes + self._closed_bytes

    def append(self, line: bytes) -> bool:
        """Let a line wait; from any thread. Returns whether it is in a file now."""
        with self._guard:
            if self.waiting_bytes + len(line) > self._limit:
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
            return segments(self.folder)  # before a next one is begun: what is given out gets no more lines

    def remove(self, segment: Path) -> None:
        """Its rows are in the database."""
        size = segment.stat().st_size
        segment.unlink()
        with self._guard:
            self._closed_bytes -= size

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
        """Let go; what still waits is for whoever comes next."""
        with suppress(OSError):
            self.sync()
        with self._guard:
            self._close_active()
            self._limit = 0
        _remove_if_empty(self.folder)
        os.close(self._lock)

    def _open_next(self) -> None:
        self._number += 1
        self._active = self.folder / f"{self._number:08d}{_SUFFIX}"
        self._file = os.open(self._active, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)

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
class Waiting:
    """What waits in all files under a folder.

    Attributes:
        bytes: In all.
        files: How many.
        oldest: Seconds since the oldest file was begun; 0 without any.
    """

    bytes: int = 0
    files: int = 0
    oldest: float = 0.0


def segments(folder: Path) -> list[Path]:
    """The files of one process, the oldest first."""
    return sorted(folder.glob(f"*{_SUFFIX}"))


def waiting(root: Path) -> Waiting:
    """What waits under ``root``, of all processes, dead or alive."""
    size = files = 0
    oldest = 0.0
    for segment in root.glob(f"*/*{_SUFFIX}"):
        with suppress(OSError):  # drained meanwhile
            status = segment.stat()
            size += status.st_size
            files += 1
            oldest = max(oldest, time.time() - status.st_mtime)
    return Waiting(size, files, oldest)


def orphans(root: Path, mine: Path) -> Iterator[Path]:
    """The folders that dead processes left, the oldest first; each is locked until the next is asked for."""
    for folder in sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")):
        if folder == mine:
            continue
        try:
            lock = locked(folder / _LOCK)
        except OSError:  # another one has just taken it over
            continue
        if lock is None:
            continue
        try:
            yield folder
            _remove_if_empty(folder)
        finally:
            os.close(lock)


def _own_folder(root: Path) -> tuple[Path, int]:
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    name = f"{time.time_ns():020d}-{os.getpid()}"
    # Locked before it has the name by which others look for folders of the dead.
    early = root / f".{name}"
    early.mkdir(mode=0o700)
    lock = locked(early / _LOCK)
    assert lock is not None
    return early.rename(root / name), lock


def _remove_if_empty(folder: Path) -> None:
    if segments(folder):
        return
    with suppress(OSError):
        (folder / _LOCK).unlink(missing_ok=True)
        folder.rmdir()
