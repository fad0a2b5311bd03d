"""The folder of a batch, on a disk or in a bucket: files that appear whole, and some only where there is none yet.

A batch rests on one promise of its store: of several who put a file of one name at once, exactly one succeeds
(:meth:`BatchFolder.put_new`). On a disk that is link(2); Google's storage gives it by ``ifGenerationMatch=0``, Amazon's
by ``If-None-Match: *``, both through fsspec's mode ``create``.
"""

# Imported where they are used: fsspec takes 30 ms to load, and many batches are local.

from __future__ import annotations

import errno
import logging
import os
import shutil
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from animal_classification.common import atomic
from animal_classification.common.urls import in_a_line, open_url
from animal_classification.errors import AnimalsError, OutputError, UsageError
from animal_classification.scale.retry import Retry
from animal_classification.scale.store_access import access_options, leave_retries_to_us

BUCKETS = ("gs", "gcs", "s3", "s3a")


class BatchFolder(ABC):
    """Where a batch keeps its plan, its leases and its rows; names have forward slashes.

    Attributes:
        url: As the caller wrote it, for messages.
    """

    url: str

    @abstractmethod
    def put_new(self, name: str, data: bytes) -> bool:
        """Write a file unless there is one; whether there was none.

        After a fault it may be ours and yet say no: whoever must know reads it back.
        """

    @abstractmethod
    def put(self, name: str, data: bytes) -> None:
        """Write a file, over one that is there."""

    @abstractmethod
    def put_file(self, name: str, file: Path) -> None:
        """The same from a file, which may be large."""

    @abstractmethod
    def exists(self, name: str) -> bool:
        """Whether there is a file."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            FileNotFoundError: There is none.
        """

    @abstractmethod
    def names(self, folder: str) -> Iterator[str]:
        """The names of the files directly in a folder, in order; none where there is no folder."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Delete a file, if it is there."""

    @abstractmethod
    def place(self, name: str) -> str:
        """A file's full path or address."""


@dataclass(frozen=True)
class LocalFolder(BatchFolder):
    """On a disk, or on a network's disk that has hard links."""

    url: str

    @property
    def root(self) -> Path:
        return Path(self.url)

    def put_new(self, name: str, data: bytes) -> bool:
        target = self.root / name
        if target.exists():
            return False
        temporary = self._temporary(target, data)
        try:
            atomic.put_file(temporary, target, existing="refuse")
            atomic.sync(target.parent)
        except FileExistsError:
            return False
        except OSError as error:
            raise _cannot_write(target, error) from error
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        return True

    def put(self, name: str, data: bytes) -> None:
        target = self.root / name
        try:
            atomic.write_bytes(data, target, durable=False)
        except OSError as error:
            raise _cannot_write(target, error) from error

    def put_file(self, name: str, file: Path) -> None:
        target = self.root / name
        try:
            with atomic.new_file(target) as temporary:
                shutil.copyfile(file, temporary)
        except OSError as error:
            raise _cannot_write(target, error) from error

    def exists(self, name: str) -> bool:
        return (self.root / name).exists()

    def read(self, name: str) -> bytes:
        try:
            return (self.root / name).read_bytes()
        except NotADirectoryError as error:
            raise FileNotFoundError(*error.args) from error

    def names(self, folder: str) -> Iterator[str]:
        try:
            with os.scandir(self.root / folder) as entries:
                found = [entry.name for entry in entries if not entry.name.startswith(".")]
        except (FileNotFoundError, NotADirectoryError):
            return
        yield from sorted(found)

    def delete(self, name: str) -> None:
        (self.root / name).unlink(missing_ok=True)

    def place(self, name: str) -> str:
        return str(self.root / name)

    def _temporary(self, target: Path, data: bytes) -> Path:
        temporary = self.root / "tmp" / f"{target.name}.{uuid.uuid4().hex[:12]}"
        try:
            temporary.parent.mkdir(parents=True, exist_ok=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(data)
            atomic.sync(temporary)
        except OSError as error:
            raise _cannot_write(target, error) from error
        return temporary


@dataclass(frozen=True)
class BucketFolder(BatchFolder):
    """In a bucket, behind an fsspec file system (fsspec has no types)."""

    url: str
    filesystem: Any
    root: str
    retry: Retry = field(default_factory=Retry)

    def __reduce__(self) -> tuple[Any, ...]:
        return open_folder, (self.url, self.retry)  # connections belong to a process

    def put_new(self, name: str, data: bytes) -> bool:
        def ask() -> bool:
            try:
                self.filesystem.pipe_file(self._path(name), data, mode="create")
            except FileExistsError:
                return False
            return True

        return bool(self._call(ask, "write", name))

    def put(self, name: str, data: bytes) -> None:
        self._call(lambda: self.filesystem.pipe_file(self._path(name), data), "write", name)

    def put_file(self, name: str, file: Path) -> None:
        self._call(lambda: self.filesystem.put_file(str(file), self._path(name)), "write", name)

    def exists(self, name: str) -> bool:
        try:
            self._call(lambda: self.filesystem.info(self._path(name), refresh=True), "look for", name)
        except FileNotFoundError:
            return False
        return True

    def read(self, name: str) -> bytes:
        return bytes(self._call(lambda: self.filesystem.cat_file(self._path(name)), "read", name))

    def names(self, folder: str) -> Iterator[str]:
        def ask() -> list[str]:
            try:
                return sorted(self.filesystem.ls(self._path(folder), detail=False, refresh=True))
            except FileNotFoundError:
                return []

        yield from (name for path in self._call(ask, "list", folder) if (name := path.rpartition("/")[2]))

    def delete(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._call(lambda: self.filesystem.rm_file(self._path(name)), "delete", name)

    def place(self, name: str) -> str:
        return f"{self.url.rstrip('/')}/{name}"

    def _path(self, name: str) -> str:
        return f"{self.root.rstrip('/')}/{name}"

    def _call(self, ask: Any, verb: str, name: str) -> Any:
        try:
            return self.retry.call(ask, f"{verb} {self.place(name)}")[0]
        except PermissionError as error:
            raise refused(verb, self.place(name)) from error


def open_folder(url: str, retry: Retry | None = None) -> BatchFolder:
    """The folder of a batch, which need not be there yet.

    Raises:
        UsageError: No address of a folder or bucket.
        MissingExtraError: A package for this kind of address is not installed.
        AnimalsError: It cannot be opened.
    """
    if "://" not in url:
        if not url:
            raise UsageError("where is the batch? name a folder, or an address such as gs://bucket/folder")
        return LocalFolder(str(Path(url).expanduser()))
    filesystem, root = open_bucket(url)
    return BucketFolder(url.rstrip("/"), filesystem, root, retry or Retry())


def open_bucket(url: str) -> tuple[Any, str]:
    """The fsspec file system of a bucket, and the place in it; errors as for :func:`open_folder`."""
    protocol = url.partition("://")[0]
    if protocol not in BUCKETS:
        raise UsageError(f"{url}: batches read and write folders, gs:// and s3://")
    # These log what they raise, with tracebacks; we say it in a line.
    logging.getLogger("gcsfs").addHandler(logging.NullHandler())
    try:
        found = open_url(url, "reading and writing", use_listings_cache=False, **access_options(protocol))
    except AnimalsError:
        raise
    except Exception as error:
        raise AnimalsError(
            f"{url}: cannot be reached ({in_a_line(error)}); check the address, the network and your sign-in"
        ) from error
    assert not isinstance(found, Path)
    leave_retries_to_us(found[0])
    return found


def is_bucket(url: str) -> bool:
    """Whether an address is one of a bucket."""
    return url.partition("://")[0] in BUCKETS and "://" in url


def refused(verb: str, place: str) -> AnimalsError:
    """What to raise where the account has no right."""
    return AnimalsError(f"cannot {verb} {place}: permission denied; give this account the right, or sign in as another")


def _cannot_write(target: Path, error: OSError) -> OutputError:
    hint = "; make room and run the same command again" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
    return OutputError(f"cannot write {str(target)!r}: {error.strerror or error}{hint}")
