"""Kept photos in a bucket, or wherever else fsspec reaches, so that every replica sees them.

    URL/ab/ab12…     the photo with that hash

Nothing else in the bucket is read, counted or deleted.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from animal_classification.errors import MissingExtraError, UsageError
from animal_classification.prediction_log.photo_store import PhotoFolder, PhotoStore, PhotoStoreError, is_hash, too_much

_EXTRAS = {"gs": "gcs", "gcs": "gcs", "s3": "s3", "s3a": "s3"}
# Objects have no time of last use: a photo that is seen again is written again, but not more often than this.
FRESH = 86400.0  # seconds
SWEEP_EVERY = 3600.0  # seconds: a listing costs money
_AT_ONCE = 8  # questions
# What file systems call the time of an object's last change.
_TIMES = ("mtime", "updated", "LastModified", "last_modified", "created")


def open_bucket(url: str) -> PhotoStore:
    """The photos at an fsspec URL; asks nothing of the place yet.

    Raises:
        UsageError: An address of an unknown kind.
        MissingExtraError: A package for this kind of address is not installed.
    """
    from fsspec.core import url_to_fs
    from fsspec.implementations.local import LocalFileSystem

    protocol = url.partition("://")[0]
    try:
        filesystem, root = url_to_fs(url, use_listings_cache=False)  # other replicas write there, too
    except ImportError as error:
        if protocol in _EXTRAS:
            raise MissingExtraError(f"keeping photos at {protocol}:// addresses", _EXTRAS[protocol]) from error
        raise UsageError(f"photos_url {url}: {_line(error)}") from error
    except Exception as error:  # file systems have exceptions of their own
        raise UsageError(f"photos_url {url}: {_line(error)}") from error
    if isinstance(filesystem, LocalFileSystem):
        return PhotoFolder(Path(root))
    return PhotoBucket(url, filesystem, root.rstrip("/"))


@dataclass(frozen=True, slots=True)
class PhotoBucket:
    """Photos behind an fsspec file system.

    Attributes:
        url: As the operator wrote it, for messages.
        filesystem: An ``fsspec.AbstractFileSystem``; fsspec has no types.
        root: As the file system names it.
        sweep_every: Seconds between two looks at what is too much.
    """

    url: str
    filesystem: Any
    root: str
    sweep_every: float = SWEEP_EVERY

    def read(self, photo: str) -> bytes | None:
        if not is_hash(photo):
            return None
        try:
            data: bytes = self.filesystem.cat_file(self._path(photo))
        except FileNotFoundError:
            return None
        except Exception as error:
            raise PhotoStoreError(f"{self.url}: cannot be reached ({_line(error)})") from error
        return data

    def having(self, photos: Iterable[str]) -> set[str]:
        wanted = [photo for photo in dict.fromkeys(photos) if is_hash(photo)]
        if not wanted:
            return set()
        try:
            with ThreadPoolExecutor(min(_AT_ONCE, len(wanted)), "animals-photos") as pool:
                there = pool.map(self.filesystem.exists, [self._path(photo) for photo in wanted])
                return {photo for photo, found in zip(wanted, there, strict=True) if found}
        except Exception as error:
            logging.getLogger(__name__).warning("%s: photos cannot be looked for: %s", self.url, _line(error))
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
            raise PhotoStoreError(f"{self.url}: cannot be reached ({_line(error)})") from error
        return len(sizes), sum(sizes)

    def sweep(self, *, most_bytes: int, days: float) -> int:
        deleted = 0
        for path in too_much(self._objects(), most_bytes=most_bytes, days=days):
            with suppress(FileNotFoundError):  # another replica was quicker
                self.filesystem.rm_file(path)
                deleted += 1
        return deleted

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


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}".rstrip(": ")
