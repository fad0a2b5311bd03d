"""A lock that ends with the process that holds it, however that ends."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

_IN_USE = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}


def locked(path: Path) -> int | None:
    """Lock the file at ``path``, made where it is not there; ``None`` where somebody else has it.

    Returns:
        A descriptor; closing it ends the lock.

    Raises:
        OSError: The file cannot be opened, or this disk knows no locks.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
    try:
        _lock(descriptor)
    except OSError as error:
        os.close(descriptor)
        if error.errno in _IN_USE:
            return None
        raise
    return descriptor


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
