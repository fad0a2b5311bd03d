"""Bytes from a path, bounded in size and in time: a pipe, a device or an endless file never holds the caller up."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from animal_classification.errors import (
    ImageAccessError,
    ImageError,
    ImageNotFoundError,
    ImageTooLargeError,
    UnsupportedImageError,
)
from animal_classification.imaging.spec import Limits

_KINDS = {
    stat.S_IFDIR: "is a folder",
    stat.S_IFIFO: "is a pipe, not a file",
    stat.S_IFSOCK: "is a socket, not a file",
    stat.S_IFCHR: "is a device, not a file",
    stat.S_IFBLK: "is a device, not a file",
}
_NOT_THERE = {
    errno.ENOENT: "is not there (moved, renamed or deleted?)",
    errno.ENOTDIR: "is not there (a part of its path is a file, not a folder)",
    errno.ELOOP: "is not there (its symbolic links go round in a circle)",
    errno.ENAMETOOLONG: "is not there (the name is longer than the system allows)",
}


def read_photo(path: str | os.PathLike[str], limits: Limits) -> bytes:
    """Read a regular file of at most ``limits.max_bytes`` bytes.

    Raises:
        ImageNotFoundError: Nothing by that name, or a name that no file can have.
        ImageAccessError: The system refuses to read it.
        UnsupportedImageError: A folder, pipe, socket or device.
        ImageTooLargeError: More bytes than the limit; refused without reading them.
    """
    with _opened(path) as (file, size):
        require_bytes(size, limits)
        data = file.read(size + 1)
        if len(data) > size:  # it grew, or lies about its size as files in /proc do
            data += file.read(limits.max_bytes + 1 - len(data))
    require_bytes(len(data), limits)
    return data


def read_head(path: str | os.PathLike[str], count: int) -> tuple[bytes, int]:
    """Read the first ``count`` bytes of a regular file of any size.

    Returns:
        The bytes, fewer where the file ends before, and how many the whole file has.

    Raises:
        ImageError: As from ``read_photo``, but for the size.
    """
    with _opened(path) as (file, size):
        return file.read(count), size


def read_tail(path: str | os.PathLike[str], count: int) -> bytes:
    """Read the last ``count`` bytes of a regular file of any size; all of a shorter one.

    Raises:
        ImageError: As from ``read_photo``, but for the size.
    """
    with _opened(path) as (file, size):
        file.seek(max(size - count, 0))
        return file.read(count)


@contextmanager
def parts_of(path: str | os.PathLike[str]) -> Iterator[Callable[[int, int], bytes]]:
    """Parts of a regular file of any size: what is yielded gives so many bytes from a place on.

    Raises:
        ImageError: As from ``read_photo``, but for the size; also while parts are read.
    """
    with _opened(path) as (file, size):

        def read(start: int, count: int) -> bytes:
            if not 0 <= start <= size:
                return b""
            file.seek(start)
            return file.read(count)

        yield read


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[tuple[BinaryIO, int]]:
    """A regular file and its size in bytes; what the system refuses is an ``ImageError``."""
    try:
        _require_file(os.stat(path).st_mode)  # noqa: PTH116 - Path("") would be the current folder
        # Between the check and this line a pipe can take the file's place: O_NONBLOCK opens even that at once.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(path, flags), "rb") as file:
            status = os.fstat(file.fileno())
            _require_file(status.st_mode)
            yield file, status.st_size
    except OSError as error:
        raise _from_system(error) from error
    except ValueError as error:  # a NUL or a lone surrogate in the name
        raise ImageNotFoundError("is not there (no file can have such a name)") from error


def require_bytes(count: int, limits: Limits) -> None:
    """Refuse an encoded photo of more than ``limits.max_bytes`` bytes.

    Raises:
        ImageTooLargeError: It is larger.
    """
    if count > limits.max_bytes:
        raise ImageTooLargeError(f"has {count:,} bytes; the limit is {limits.max_bytes:,}")


def _require_file(mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise UnsupportedImageError(_KINDS.get(stat.S_IFMT(mode), "is not a regular file"))


def _from_system(error: OSError) -> ImageError:
    if error.errno in _NOT_THERE:
        return ImageNotFoundError(_NOT_THERE[error.errno])
    if isinstance(error, PermissionError):
        return ImageAccessError("may not be read (permission denied)")
    return ImageAccessError(f"cannot be read ({error.strerror or type(error).__name__})")
