"""One process at a time: a lock that the system lets go of when its holder ends, however it ends."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from animal_classification.common.file_lock import lock
from animal_classification.common.text_files import cannot_write
from animal_classification.errors import OutputError

_LONGEST = 1000


@contextmanager
def only_here(folder: Path, name: str) -> Iterator[None]:
    """Hold a folder while the block lasts, by a file of this name in it.

    The file may be deleted when all is done; whoever waits to lock it must then look whether anything is left to do.
    Where the disk knows no locks, nothing is held.

    Raises:
        OutputError: Another process has it, or it cannot be written.
    """
    path = folder / name
    try:
        file = path.open("a+b")
    except OSError as error:
        raise cannot_write(path, error, "choose another output=") from error
    with file:
        if not lock(file.fileno(), needed=False):
            raise _in_use(folder, file)
        with contextlib.suppress(OSError):  # a full disk: nobody learns who it is
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()} since {datetime.now(UTC):%X} UTC".encode())
            file.flush()
        yield


def _in_use(folder: Path, file: BinaryIO) -> OutputError:
    file.seek(0)
    holder = file.read(_LONGEST).decode("utf-8", "replace") or "another process"
    return OutputError(
        f"{str(folder)!r} is being trained by {holder}: wait until it is done, or choose another output= or seed="
    )
