"""The file of keys on disk: changed by one command at a time, replaced whole, and still whose it was."""

from __future__ import annotations

import os
import random
import stat
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from animal_classification.common.atomic import new_file
from animal_classification.common.file_lock import locked
from animal_classification.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 60.0  # seconds that a command waits for the others; each needs some milliseconds
OWN_MODE = 0o600
ACCESS_LISTS = "system.posix_acl"  # who else may read; other attributes may be the system's own affair


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Hold a lock beside a file, against all other processes that change it.

    The lock's file, ``.NAME.lock``, stays: two processes could lock two files of that name if somebody removed it.

    Raises:
        OutputError: There can be no lock there, or others hold it for too long.
    """
    target = Path(os.path.realpath(path))
    lock = target.with_name(f".{target.name}.lock")
    try:
        descriptor = _wait_for(lock)
    except OSError as error:
        raise OutputError(f"{lock}: cannot be locked ({error.strerror})") from None
    if descriptor is None:
        raise OutputError(f"{path}: others have been changing it for {PATIENCE:g} seconds; try again ({lock})")
    try:
        # Root's lock must not keep the file's owner out of later changes.
        with suppress(OSError):
            _take_after(lock, target.stat() if target.exists() else target.parent.stat(), mode=OWN_MODE)
        yield
    finally:
        os.close(descriptor)


def replace_whole(path: Path, data: bytes) -> None:
    """Put ``data`` in a file's place, whole or not at all.

    The owner, group, mode and extended attributes (access lists among them) of the file that was there stay, so that
    whoever could read it still can. A symbolic link stays a link. A new file is its maker's alone.

    Raises:
        OutputError: It cannot be written, or not without taking it from its owner.
    """
    target = Path(os.path.realpath(path))
    try:
        before = target.stat() if target.exists() else None
        with new_file(target, parents=False) as temporary:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            with os.fdopen(os.open(temporary, flags, OWN_MODE), "wb") as file:
                file.write(data)
            if before is not None:
                _keep_what_was(path, target, temporary, before)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from None


def _keep_what_was(path: Path, target: Path, temporary: Path, before: os.stat_result) -> None:
    if before.st_nlink > 1:  # the other names would go on showing the old keys to whoever reads them
        raise OutputError(f"{path}: has several names (hard links), which cannot change at once: use symbolic links")
    try:
        _take_after(temporary, before, mode=stat.S_IMODE(before.st_mode))
    except PermissionError:
        detail = f"run this as its owner (user {before.st_uid}) or as root, so that the owner stays"
        raise OutputError(f"{path}: cannot be replaced: {detail}") from None
    _copy_attributes(target, temporary)


def _wait_for(lock: Path) -> int | None:
    deadline = time.monotonic() + PATIENCE
    while (descriptor := locked(lock)) is None and time.monotonic() < deadline:
        time.sleep(random.uniform(0.002, 0.02))  # noqa: S311 - so that those who wait do not ask in step
    return descriptor


def _take_after(path: Path, model: os.stat_result, *, mode: int) -> None:
    """Give a file the owner and group of another, and a mode.

    Raises:
        OSError: This user may not.
    """
    if hasattr(os, "chown"):
        now = path.stat()
        if (now.st_uid, now.st_gid) != (model.st_uid, model.st_gid):
            os.chown(path, model.st_uid, model.st_gid)
    path.chmod(mode)


def _copy_attributes(source: Path, target: Path) -> None:
    names: list[str] = []
    if hasattr(os, "listxattr"):
        with suppress(OSError):  # this disk has none
            names = os.listxattr(source)
    for name in names:
        try:
            os.setxattr(target, name, os.getxattr(source, name))
        except OSError:
            if name.startswith(ACCESS_LISTS):
                raise
