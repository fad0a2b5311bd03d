"""One loop at a time in a folder; who comes second is told who has it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from animal_classification.common.file_lock import locked
from animal_classification.common.text_files import cannot_write
from animal_classification.errors import AnimalsError

LOCK = "lock"
_LONGEST = 500


@contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Hold the loop's lock while the block lasts; the system gives it back however the process ends.

    Raises:
        AnimalsError: Another process has it.
        OutputError: The folder cannot be written.
    """
    path = home / LOCK
    try:
        home.mkdir(parents=True, exist_ok=True)
        descriptor = locked(path, mode=0o644)
    except OSError as error:
        raise cannot_write(path, error) from error
    if descriptor is None:
        raise AnimalsError(
            f"the loop in {str(home)!r} is at work in {_holder(path)}: wait until it is done, or end that process"
        )
    try:
        with suppress(OSError):  # a full disk: others do not learn who has it
            os.ftruncate(descriptor, 0)
            words = f"process {os.getpid()} on {socket.gethostname()} since {datetime.now(UTC):%X} UTC"
            os.write(descriptor, words.encode())
        yield
    finally:
        os.close(descriptor)


def _holder(path: Path) -> str:
    with suppress(OSError):
        return path.read_bytes()[:_LONGEST].decode("utf-8", "replace").strip() or "another process"
    return "another process"
