"""A lock on a file that ends with the process that holds it, however that ends."""

# Imported where it is used: each of the two modules exists on one kind of system only.

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path

_IN_USE = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}
_FAR = 2**40  # Windows lets nobody read what is locked, so what is locked lies far behind the end


def locked(path: Path, *, mode: int = 0o600, needed: bool = True) -> int | None:
    """Lock the file at ``path``, made where it is not there; ``None`` where somebody else has it.

    The file may be deleted by who holds the lock: a lock on a file that has lost its name is none, so it is not
    returned.

    Args:
        path: The file; it can be read and written by others, locked or not.
        mode: Permissions of a new file.
        needed: Whether a disk that knows no locks is an error, or every lock on it succeeds.

    Returns:
        A descriptor; closing it ends the lock.

    Raises:
        OSError: The file cannot be opened, or this disk knows no locks.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), mode)
        kept = False
        try:
            if not lock(descriptor, needed=needed):
                return None
            kept = _still_has_its_name(descriptor, path)
            if kept:
                return descriptor
        finally:
            if not kept:
                os.close(descriptor)


def lock(descriptor: int, *, needed: bool = True) -> bool:
    """Lock an open file until it is closed, unless another process, or another descriptor of this one, has it.

    Raises:
        OSError: The disk knows no locks, and one is needed.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            position = os.lseek(descriptor, 0, os.SEEK_CUR)
            os.lseek(descriptor, _FAR, os.SEEK_SET)
            try:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            finally:
                os.lseek(descriptor, position, os.SEEK_SET)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _IN_USE:
            return False
        if needed:
            raise
    return True


def _still_has_its_name(descriptor: int, path: Path) -> bool:
    if sys.platform == "win32":
        return True  # nobody can delete what is open
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False
