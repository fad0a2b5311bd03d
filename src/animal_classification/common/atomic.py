"""Files and folders that appear whole or not at all, whatever kills the process.

They are written beside their place, under the name ``.NAME.XXXXXXXX.tmp``, and renamed when they are complete.
"""

from __future__ import annotations

import ctypes
import errno
import glob
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

Existing = Literal["replace", "keep", "refuse"]
"""What to do with a file or folder that has the name already: ``keep`` is for names that stand for a content."""

# What systems answer where a hard link cannot be made although a copy can.
NO_LINKS = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EACCES}
# What some file systems answer that cannot sync a folder.
_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF}
_LONGEST_NAME = 200  # characters or bytes; what is added to it must fit into the 255 of most file systems
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
# Windows refuses to replace a file that somebody reads; readers, and virus scanners, are soon done.
_RETRY_AFTER_SECONDS = (0.01, 0.03, 0.1, 0.3) if os.name == "nt" else ()


@contextmanager
def new_file(
    target: Path, *, existing: Existing = "replace", durable: bool = True, parents: bool = True
) -> Iterator[Path]:
    """A path to write to; the file takes the name ``target`` when the block ends well, and is deleted otherwise.

    A symbolic link stays a link, and a file that is replaced passes on its permissions.

    Args:
        target: The file to be.
        existing: What to do with a file of that name.
        durable: Whether it must survive a power failure, too. A cache need not: what it loses is made again.
        parents: Whether to make the folders above it.

    Raises:
        FileExistsError: There is one, and ``existing`` is ``refuse``.
        OSError: The system refuses; what was there is as it was.
    """
    target = Path(os.path.realpath(target)) if existing == "replace" else target
    if parents:
        target.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(target)
    try:
        yield temporary
        if existing == "replace":
            with suppress(OSError):
                temporary.chmod(target.stat().st_mode & 0o777)
        if durable:
            sync(temporary)
        put_file(temporary, target, existing=existing)
        if durable:
            sync(target.parent)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_bytes(data: bytes, target: Path, *, existing: Existing = "replace", durable: bool = True) -> None:
    """Write a file, whole or not at all; see :func:`new_file`."""
    with new_file(target, existing=existing, durable=durable) as temporary:
        temporary.write_bytes(data)


def put_file(new: Path, target: Path, *, existing: Existing) -> None:
    """Give a file a name on the same file system; unless one is replaced, ``new`` may stay as a second name.

    Raises:
        FileExistsError: There is one, and ``existing`` is ``refuse``.
        OSError: The system refuses.
    """
    if existing == "replace":
        _replace(new, target)
        return
    try:
        target.hardlink_to(new)
    except FileExistsError:
        if existing == "refuse":
            raise
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        # Memory cards know no links: between this check and the rename, another program could step in.
        if not os.path.lexists(target):
            new.rename(target)
        elif existing == "refuse":
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error


def remove_leftovers(target: Path) -> None:
    """Delete what killed processes left of a file; only for who knows that nobody else is writing it now."""
    for path in target.parent.glob(f".{glob.escape(_shortened(target.name))}.*.tmp"):
        path.unlink(missing_ok=True)


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where the file system has no hard links."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


@contextmanager
def new_folder(target: Path, *, existing: Existing = "refuse") -> Iterator[Path]:
    """A folder that takes the name ``target`` when the block ends well, and vanishes otherwise.

    Raises:
        OSError: The system refuses, or ``target`` is not empty and ``existing`` is ``refuse``.
    """
    with sibling(target) as temporary:
        yield temporary
        put_folder(temporary, target, existing=existing)


@contextmanager
def sibling(target: Path) -> Iterator[Path]:
    """A new folder beside ``target``, on the same file system; deleted at the end unless it was moved away."""
    temporary = _beside(target)
    try:
        temporary.mkdir(parents=True)
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def put_folder(new: Path, target: Path, *, existing: Existing = "replace") -> None:
    """Rename a folder to ``target``; one that is replaced goes in the same step, and is deleted.

    Where the system cannot exchange two folders, there is a moment between two renames without ``target``; if the
    second one fails, the old folder is put back.

    Raises:
        OSError: The system refuses, or ``target`` is not empty and ``existing`` is ``refuse``.
    """
    try:
        if existing == "replace" and target.exists():
            _replace_folder(new, target)
        else:
            with suppress(OSError):
                target.rmdir()  # Windows renames nothing to a folder that is there, not even an empty one
            new.rename(target)
    except OSError:
        if existing != "keep" or not target.is_dir():
            raise
    sync(target.parent)


def sync(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk: a rename must not get there first."""
    if os.name == "nt" and path.is_dir():
        return  # Windows has no such call for folders
    # Windows syncs only what is open for writing.
    descriptor = os.open(path, (os.O_RDWR if os.name == "nt" else os.O_RDONLY) | getattr(os, "O_BINARY", 0))
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC or not path.is_dir():
            raise
    finally:
        os.close(descriptor)


def _beside(target: Path) -> Path:
    return target.with_name(f".{_shortened(target.name)}.{uuid.uuid4().hex[:8]}.tmp")


def _shortened(name: str) -> str:
    while len(os.fsencode(name)) > _LONGEST_NAME:
        name = name[:-1]
    return name


def _replace(new: Path, target: Path) -> None:
    for seconds in _RETRY_AFTER_SECONDS:
        try:
            new.replace(target)
        except PermissionError:
            time.sleep(seconds)
        else:
            return
    new.replace(target)


def _replace_folder(new: Path, target: Path) -> None:
    if _exchange(new, target):
        shutil.rmtree(new, ignore_errors=True)
        return
    old = _beside(target)
    target.rename(old)
    try:
        new.rename(target)
    except BaseException:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _exchange(first: Path, second: Path) -> bool:
    """Swap two folders in one step, where the system can (Linux, most file systems)."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    result: int = renameat2(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE)
    return result == 0
