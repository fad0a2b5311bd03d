"""Rows that the database refuses: set aside in files, one a day, as they would have waited for it.

    FOLDER/2026-11-29.rows     lines of ``Record.to_line``

Moved to the spool, a file is tried again.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

_SUFFIX = ".rows"


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
