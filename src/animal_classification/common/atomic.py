"""Directories that appear whole or not at all."""

from __future__ import annotations

import ctypes
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextmanager
def sibling(target: Path) -> Iterator[Path]:
    """A new directory beside ``target``, on the same file system; deleted at the end unless it was moved away."""
    temporary = _beside(target)
    try:
        temporary.mkdir(parents=True)
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def put_in_place(new: Path, target: Path, *, replace: bool = True) -> None:
    """Renames ``new`` to ``target``; a directory that was there is replaced in one step and deleted.

    Without ``replace``, a directory that is not empty makes the system refuse.

    Where the system cannot exchange two directories, there is a moment between two renames without ``target``; if the
    second one fails, the old directory is put back.
    """
    if not replace or not target.exists():
        new.rename(target)
    elif _exchange(new, target):
        shutil.rmtree(new, ignore_errors=True)
    else:
        old = _beside(target)
        target.rename(old)
        try:
            new.rename(target)
        except BaseException:
            old.rename(target)
            raise
        shutil.rmtree(old, ignore_errors=True)
    sync(target.parent)


def sync(path: Path) -> None:
    """Waits until a file, or a directory's list of names, is on the disk: a rename must not get there first."""
    if os.name == "nt" and path.is_dir():
        return  # Windows has no such call for directories
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")


def _exchange(first: Path, second: Path) -> bool:
    """Swaps two directories in one step, where the system can (Linux, most file systems)."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    result: int = renameat2(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE)
    return result == 0
