"""Photos kept for the review, under the hash of their bytes; bounded in bytes and in age.

Nothing here takes a name from a client: a file is called by a hash, and what is not one is not looked for.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from animal_classification.common.atomic import write_bytes
from animal_classification.common.urls import in_a_line, open_url
from animal_classification.errors import MissingExtraError, UsageError
from animal_classification.prediction_log.database_errors import LogDatabaseError
from animal_classification.prediction_log.photo_retention import Swept, Wanted, nothing_wanted, to_delete

_HASH = re.compile(r"[0-9a-f]{64}")
FOLDER_SWEEP_EVERY = 600.0  # seconds
BUCKET_SWEEP_EVERY = 3600.0  # seconds: a listing costs money
# Objects have no time of last use: a photo that is seen again is written again, but not more often than this.
FRESH = 86400.0  # seconds
_QUERIES_AT_ONCE = 8
# What file systems call the time of an object's last change.
_TIMES = ("mtime", "updated", "LastModified", "last_modified", "created")


class PhotoStoreError(LogDatabaseError):
    """The place of the kept photos cannot be reached now."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "the place where photos are kept cannot be reached")


def is_hash(name: str) -> bool:
    """It can be the name of a photo."""
    return _HASH.fullmatch(name) is not None


class PhotoStore(Protocol):
    """Where photos are kept."""

    @property
    def sweep_every(self) -> float:
        """Seconds between two looks at what is too much."""
        ...

    def read(self, photo: str) -> bytes | None:
        """The photo as it is kept, or ``None``.

        Raises:
            PhotoStoreError: The place cannot be reached.
        """
        ...

    def having(self, photos: Iterable[str]) -> set[str]:
        """Those of these photos that are kept; none where the place cannot be reached."""
        ...

    def put(self, photo: str, data: bytes) -> None:
        """Keep a photo, whole or not at all; may raise anything."""
        ...

    def touch(self, photo: str) -> bool:
        """It was seen again just now; returns whether it need not be put any more. May raise anything."""
        ...

    def kept(self) -> tuple[int, int]:
        """How many files there are, and their bytes.

        Raises:
            PhotoStoreError: The place cannot be reached.
        """
        ...

    def delete(self, photo: str) -> bool:
        """Delete a photo; returns whether it was there.

        Raises:
            PhotoStoreError: The place cannot be reached, or the photo not be deleted.
        """
        ...

    def sweep(self, *, most_bytes: int, days: float, wanted: Wanted = nothing_wanted) -> Swept:
        """Delete what is older than ``days`` (0: nothing is), then the oldest until the rest fits.

        Args:
            most_bytes: That may stay; less than none for nothing.
            days: How old they may become.
            wanted: Says which of some photos stay anyway; asked only where something has to go.
        """
        ...


def photos_at(place: str) -> PhotoStore:
    """The photos in a folder, or at an fsspec URL.

    Raises:
        UsageError: An address of an unknown kind.
        MissingExtraError: A package for this kind of address is not installed.
    """
    if "://" not in place:
        return PhotoFolder(Path(place))
    return _open_bucket(place)


def _open_bucket(url: str) -> PhotoStore:
    try:
        # Other replicas write there, too.
        found = open_url(url, "keeping photos at", use_listings_cache=False)
    except MissingExtraError:
        raise
    except UsageError as error:
        raise UsageError(f"photos_url {error}") from error
    except Exception as error:  # file systems have exceptions of their own
        raise UsageError(f"photos_url {url}: {in_a_line(error)}") from error
    if isinstance(found, Path):
        return PhotoFolder(found)
    filesystem, root = found
    return PhotoBucket(url, filesystem, root.rstrip("/"))


@dataclass(frozen=True, slots=True)
class PhotoFolder:
    """A folder of photos.

    Attributes:
        root: Made when the first photo comes.
        sweep_every: Seconds between two looks at what is too much.
    """

    root: Path
    sweep_every: float = FOLDER_SWEEP_EVERY

    def path(self, photo: str) -> Path | None:
        """Where the photo with that hash is, or would be; ``None`` for what is no hash."""
        return self.root / photo[:2] / photo if is_hash(photo) else None

    def read(self, photo: str) -> bytes | None:
        path = self.path(photo)
        try:
            return None if path is None else path.read_bytes()
        except OSError:
            return None

    def having(self, photos: Iterable[str]) -> set[str]:
        return {photo for photo in photos if (path := self.path(photo)) is not None and path.is_file()}

    def put(self, photo: str, data: bytes) -> None:
        path = self.path(photo)
        assert path is not None
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            write_bytes(data, path, durable=False)
        except PermissionError:
            # Windows replaces nothing that somebody reads; what is there under this name is the same photo.
            if not path.is_file():
                raise

    def touch(self, photo: str) -> bool:
        path = self.path(photo)
        try:
            if path is None:
                return False
            os.utime(path)
        except OSError:
            return False
        return True

    def kept(self) -> tuple[int, int]:
        sizes = [size for _, size, _ in self._files()]
        return len(sizes), sum(sizes)

    def delete(self, photo: str) -> bool:
        path = self.path(photo)
        if path is None:
            return False
        there = path.is_file()
        try:
            for file in path.parent.glob(f"*{photo}*"):  # and what is just being written of it
                file.unlink(missing_ok=True)
        except OSError as error:
            raise PhotoStoreError(f"{path}: the photo cannot be deleted ({error.strerror})") from error
        return there

    def sweep(self, *, most_bytes: int, days: float, wanted: Wanted = nothing_wanted) -> Swept:
        files = [(seen, size, path.name, path) for seen, size, path in self._files()]
        deleted, left = 0, sum(size for _, size, _, _ in files)
        for _, size, _, path in to_delete(files, most_bytes=most_bytes, days=days, wanted=wanted):
            left -= size  # where it cannot go now, it has its turn next time
            with suppress(OSError):
                path.unlink()
                deleted += 1
        return Swept(deleted, left)

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        for path in self.root.glob("??/*"):
            # Photos, and what a process that was killed has left of one.
            if is_hash(path.name) or is_hash(path.name[1:65]):
                with suppress(OSError):
                    status = path.stat()
                    yield status.st_mtime, status.st_size, path


@dataclass(frozen=True, slots=True)
class PhotoBucket:
    """Photos in a bucket, or wherever else fsspec reaches, so that every replica sees them.

        URL/ab/ab12…     the photo with that hash

    Nothing else in the bucket is read, counted or deleted.

    Attributes:
        url: As the operator wrote it, for messages.
        filesystem: An ``fsspec.AbstractFileSystem``; fsspec has no types.
        root: As the file system names it.
        sweep_every: Seconds between two looks at what is too much.
    """

    url: str
    filesystem: Any
    root: str
    sweep_every: float = BUCKET_SWEEP_EVERY

    def read(self, photo: str) -> bytes | None:
        if not is_hash(photo):
            return None
        try:
            data: bytes = self.filesystem.cat_file(self._path(photo))
        except FileNotFoundError:
            return None
        except Exception as error:
            raise PhotoStoreError(f"{self.url}: cannot be reached ({in_a_line(error)})") from error
        return data

    def having(self, photos: Iterable[str]) -> set[str]:
        wanted = [photo for photo in dict.fromkeys(photos) if is_hash(photo)]
        if not wanted:
            return set()
        try:
            with ThreadPoolExecutor(min(_QUERIES_AT_ONCE, len(wanted)), "animals-photos") as pool:
                there = pool.map(self.filesystem.exists, [self._path(photo) for photo in wanted])
                return {photo for photo, found in zip(wanted, there, strict=True) if found}
        except Exception as error:
            logging.getLogger(__name__).warning("%s: photos cannot be looked for: %s", self.url, in_a_line(error))
            return set()

    def put(self, photo: str, data: bytes) -> None:
        assert is_hash(photo)
        self.filesystem.pipe_file(self._path(photo), data)

    def touch(self, photo: str) -> bool:
        if not is_hash(photo):
            return False
        try:
            info = self.filesystem.info(self._path(photo))
        except FileNotFoundError:
            return False
        return time.time() - changed(info) < FRESH

    def kept(self) -> tuple[int, int]:
        try:
            sizes = [size for _, size, _ in self._objects()]
        except Exception as error:
            raise PhotoStoreError(f"{self.url}: cannot be reached ({in_a_line(error)})") from error
        return len(sizes), sum(sizes)

    def delete(self, photo: str) -> bool:
        if not is_hash(photo):
            return False
        try:
            self.filesystem.rm_file(self._path(photo))
        except FileNotFoundError:
            return False
        except Exception as error:
            raise PhotoStoreError(f"{self.url}: a photo cannot be deleted ({in_a_line(error)})") from error
        return True

    def sweep(self, *, most_bytes: int, days: float, wanted: Wanted = nothing_wanted) -> Swept:
        objects = [(seen, size, path.rpartition("/")[2], path) for seen, size, path in self._objects()]
        deleted, left = 0, sum(size for _, size, _, _ in objects)
        for _, size, _, path in to_delete(objects, most_bytes=most_bytes, days=days, wanted=wanted):
            left -= size
            with suppress(FileNotFoundError):  # another replica was quicker
                self.filesystem.rm_file(path)
                deleted += 1
        return Swept(deleted, left)

    def _path(self, photo: str) -> str:
        return f"{self.root}/{photo[:2]}/{photo}"

    def _objects(self) -> Iterator[tuple[float, int, str]]:
        try:
            found: dict[str, dict[str, Any]] = self.filesystem.find(self.root, detail=True)
        except FileNotFoundError:
            return
        for path, info in found.items():
            photo = path.rpartition("/")[2]
            if is_hash(photo) and path == self._path(photo):
                yield changed(info), int(info.get("size") or 0), path


def changed(info: Mapping[str, Any]) -> float:
    """When an object was last changed, in seconds since 1970; now where its file system does not say."""
    for value in (info[name] for name in _TIMES if info.get(name)):
        with suppress(ValueError):
            moment = datetime.fromisoformat(value) if isinstance(value, str) else value
            if isinstance(moment, datetime):
                return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
            return float(moment)
    return time.time()
