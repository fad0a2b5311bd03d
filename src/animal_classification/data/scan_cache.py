"""What a scan found, remembered: which bytes a file held when it was that long and that old, and what they are.

Keyed by content in its second half, so that a data set that is moved or copied costs only its hashing. Only good photos
are remembered: whether a bad one can be read depends on what is installed, and looking at it again costs little.
"""

from __future__ import annotations

import builtins
import contextlib
import os
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# Raise it when a fingerprint or a size would come out differently: what is remembered is then forgotten.
FORMAT = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS files (path BLOB PRIMARY KEY, size INTEGER, mtime INTEGER, sha256 TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pictures (
    sha256 TEXT PRIMARY KEY, bytes INTEGER, width INTEGER, height INTEGER, format TEXT, fingerprint BLOB
) WITHOUT ROWID;
"""
_FIND = """
SELECT p.sha256, p.bytes, width, height, format, fingerprint FROM files f JOIN pictures p USING (sha256)
WHERE path = ? AND size = ? AND mtime = ?
"""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a scan tells of one file.

    Attributes:
        sha256: Of its bytes; ``None`` where they could not be read.
        bytes: Their number.
        width: Of the upright photo, in pixels.
        height: Of the upright photo, in pixels.
        format: ``JPEG``, ``PNG`` and so on.
        fingerprint: Perceptual hash; ``None`` for a picture of one colour.
        problem: Why it cannot be used.
    """

    sha256: str | None = None
    bytes: int | None = None
    width: int | None = None
    height: int | None = None
    format: str | None = None
    fingerprint: builtins.bytes | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class FileKey:
    """A file as it was at one moment."""

    path: bytes
    size: int
    mtime: int

    @classmethod
    def of(cls, path: Path) -> FileKey:
        """Ask the system.

        Raises:
            OSError: There is no such file.
        """
        status = path.stat()
        return cls(os.fsencode(path.absolute()), status.st_size, status.st_mtime_ns)


class ScanCache:
    """A small database in the cache folder. Where it cannot be opened or written, nothing is remembered."""

    def __init__(self, folder: Path) -> None:
        self._database: sqlite3.Connection | None = None
        file = folder / f"scan-{FORMAT}.sqlite"
        with contextlib.suppress(OSError, sqlite3.Error):
            folder.mkdir(parents=True, exist_ok=True)
            self._database = _open(file)

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def find(self, key: FileKey) -> Facts | None:
        """What is known about a file, if it has not changed."""
        if self._database is None:
            return None
        try:
            row = self._database.execute(_FIND, (key.path, key.size, key.mtime)).fetchone()
        except sqlite3.Error:
            return None
        return None if row is None else Facts(*row)

    def remember(self, found: Iterable[tuple[FileKey, Facts]]) -> None:
        """Remember good photos."""
        good = [(key, facts) for key, facts in found if facts.problem is None]
        if self._database is None or not good:
            return
        with contextlib.suppress(sqlite3.Error), self._database:
            self._database.executemany(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)",
                [(key.path, key.size, key.mtime, facts.sha256) for key, facts in good],
            )
            self._database.executemany(
                "INSERT OR REPLACE INTO pictures VALUES (?, ?, ?, ?, ?, ?)",
                [(f.sha256, f.bytes, f.width, f.height, f.format, f.fingerprint) for _, f in good],
            )


def _open(file: Path) -> sqlite3.Connection:
    try:
        return _connect(file)
    except sqlite3.DatabaseError:  # damaged: it holds nothing that cannot be found out again
        file.unlink(missing_ok=True)
        return _connect(file)


def _connect(file: Path) -> sqlite3.Connection:
    database = sqlite3.connect(file, timeout=10)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.executescript(_TABLES)
    except sqlite3.Error:
        database.close()
        raise
    return database
