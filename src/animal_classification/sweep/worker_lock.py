"""This process, as others see it: alive as long as it holds the lock on its file, however it ends."""

from __future__ import annotations

import contextlib
import uuid
from pathlib import Path
from typing import BinaryIO

from animal_classification.common.file_lock import lock
from animal_classification.common.text_files import cannot_write


class Worker:
    """One process at work on a study.

    The system lets go of the lock when the process is gone, even by ``kill -9``, and never before. Only processes with
    the same folder can see it; others must go by heartbeats.

    Args:
        folder: For the files of all workers of the study.
    """

    def __init__(self, folder: Path) -> None:
        self.id = uuid.uuid4().hex
        self._folder = folder
        self._path = folder / f"{self.id}.lock"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("wb")
        except OSError as error:
            raise cannot_write(folder, error, "choose another output=") from error
        # Who looks whether it is free holds it for a moment. Where the disk knows no locks, heartbeats must do.
        for _ in range(1000):
            if _lock(self._file):
                break

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """The file of one that may leave a trial behind stays, and nobody holds its lock."""
        self._file.close()
        if kind is None:
            self._path.unlink(missing_ok=True)

    def tidy(self) -> None:
        """Forget those who are gone; for when nothing that they left is to be done any more."""
        for path in self._folder.glob("*.lock"):
            if path != self._path and _is_free(path):
                path.unlink(missing_ok=True)

    def is_gone(self, other: str) -> bool:
        """That worker was here, and is no more."""
        return other != self.id and _is_free(self._folder / f"{other}.lock")

    def is_alone(self) -> bool:
        """No other worker with this folder lives."""
        return all(_is_free(path) for path in self._folder.glob("*.lock") if path != self._path)


def _is_free(path: Path) -> bool:
    try:
        with path.open("r+b") as file:
            return _lock(file)
    except OSError:
        return False


def _lock(file: BinaryIO) -> bool:
    """Lock it, unless another process has it or the disk knows no locks."""
    with contextlib.suppress(OSError):
        return lock(file.fileno())
    return False
