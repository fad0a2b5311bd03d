"""Photos of a shard on their way to the decoder: read ahead, within bounds, each looked at for what has changed.

Photos on a disk are opened where they are decoded. Those in a bucket, or packed into a tar, are read by some threads
ahead of the decoder: at most 16 reads for each decoding thread, and at most 256 MB together. Neighbours in a tar are
one read.
"""

from __future__ import annotations

import binascii
import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from animal_classification.errors import ImageAccessError, ImageError, ImageNotFoundError, ImageTooLargeError
from animal_classification.imaging import Limits
from animal_classification.scale.entries import PlannedPhoto
from animal_classification.scale.retry import Retry
from animal_classification.scale.storage import is_bucket, open_bucket, refused

AHEAD = 16
AHEAD_BYTES = 256 * 1024 * 1024
BLOCK_BYTES = 8 * 1024 * 1024

GONE = "it is not there any more"
CHANGED = "changed since the plan"

ReadAnswer = tuple[bytes | ImageError, int]
"""The bytes, or what is wrong with this photo, and how often they were asked for."""


@dataclass(frozen=True)
class ReadBlock:
    """Photos that are read at once: one object, or neighbours in a tar.

    Attributes:
        photos: At least one.
        size: How many bytes that takes.
    """

    photos: tuple[PlannedPhoto, ...]
    size: int


class ShardReader:
    """Reads the photos of one shard, ahead of who decodes them.

    Args:
        photos: In the order in which they will be wanted.
        threads: That decode.
        retry: What to do about faults.
        limits: Most bytes of a photo.
    """

    def __init__(
        self, photos: Sequence[PlannedPhoto], *, threads: int, retry: Retry, limits: Limits | None = None
    ) -> None:
        self._limits = limits or Limits()
        self._retry = retry
        self._blocks = list(blocks(photos, self._limits.max_bytes))
        self._index = {id(photo): number for number, block in enumerate(self._blocks) for photo in block.photos}
        self._started: dict[int, Future[list[ReadAnswer]]] = {}
        self._left = [len(block.photos) for block in self._blocks]
        self._next = self._held = 0
        self._most = AHEAD * threads
        self._lock = threading.Lock()
        self._stores = _Stores()
        self._pool = ThreadPoolExecutor(self._most, thread_name_prefix="animals-read")

    def close(self) -> None:
        """Drop what nobody wants any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def read(self, photo: PlannedPhoto) -> ReadAnswer:
        """A photo's bytes; called from several threads.

        Raises:
            AnimalsError: Its store does not answer, or refuses.
        """
        number = self._index[id(photo)]
        with self._lock:
            self._start_more(upto=number)
            future = self._started[number]
        answers = future.result()
        block = self._blocks[number]
        with self._lock:
            self._left[number] -= 1
            if not self._left[number]:
                del self._started[number]
                self._held -= block.size
            self._start_more()
        return answers[next(at for at, one in enumerate(block.photos) if one is photo)]

    def _start_more(self, upto: int = -1) -> None:
        """Begin reading what there is room for, and in any case what is wanted now."""
        while self._next < len(self._blocks):
            block = self._blocks[self._next]
            room = len(self._started) < self._most and self._held + block.size <= AHEAD_BYTES
            if not room and self._next > upto and self._started:
                return
            self._started[self._next] = self._pool.submit(self._read_block, block)
            self._held += block.size
            self._next += 1

    def _read_block(self, block: ReadBlock) -> list[ReadAnswer]:
        first = block.photos[0]
        if first.offset is None:
            return [self._read_object(first)]
        last = block.photos[-1]
        assert last.offset is not None
        start, end = first.offset, last.offset + last.size
        place = first.path
        data, tries = self._retry.call(lambda: self._stores.read_range(place, start, end), f"read {place}")
        pieces = ((one.offset or 0) - start for one in block.photos)
        return [(data[at : at + one.size], tries) for at, one in zip(pieces, block.photos, strict=True)]

    def _read_object(self, photo: PlannedPhoto) -> ReadAnswer:
        if photo.size > self._limits.max_bytes:
            return too_large(photo.size, self._limits), 1
        try:
            data, tries = self._retry.call(lambda: self._stores.read_object(photo), f"read {photo.path}")
        except FileNotFoundError:
            return ImageNotFoundError(GONE), 1
        except PermissionError as error:
            # Seldom of one object, mostly of the account: rows that say so for all photos would be wrong tomorrow.
            raise refused("read", photo.path) from error
        return data, tries


def blocks(photos: Sequence[PlannedPhoto], most: int) -> Iterator[ReadBlock]:
    """The reads that bring these photos, in order."""
    held: list[PlannedPhoto] = []
    size = 0
    for photo in photos:
        together = held and photo.offset is not None and photo.path == held[-1].path
        if held and (not together or size + photo.size > BLOCK_BYTES):
            yield ReadBlock(tuple(held), size)
            held, size = [], 0
        held.append(photo)
        size += min(photo.size, most) if photo.offset is None else photo.size
    if held:
        yield ReadBlock(tuple(held), size)


def check_local(photo: PlannedPhoto) -> ImageError | None:
    """What is wrong with a file on a disk that was planned: it is gone, or another."""
    try:
        status = os.stat(photo.path)  # noqa: PTH116 - for every photo
    except (FileNotFoundError, NotADirectoryError):
        return ImageNotFoundError(GONE)
    except (OSError, ValueError):
        return None  # the decoder says what it is, in its own words
    if (status.st_size, local_etag(status)) != (photo.size, photo.etag):
        return ImageAccessError(CHANGED)
    return None


def local_etag(status: os.stat_result) -> str:
    """What stands for the state of a file on a disk: its time of change, in nanoseconds."""
    return str(status.st_mtime_ns)


def too_large(size: int, limits: Limits) -> ImageError:
    """In the words of a photo that is read from a disk."""
    return ImageTooLargeError(f"has {size:,} bytes; the limit is {limits.max_bytes:,}")


class _Stores:
    """The file systems of buckets, opened once; what changed since the plan is told from what was asked for."""

    def __init__(self) -> None:
        self._opened: dict[str, Any] = {}
        self._lock = threading.Lock()

    def read_range(self, place: str, start: int, end: int) -> bytes:
        if not is_bucket(place):
            with open(place, "rb") as file:  # noqa: PTH123 - a path as the plan has it
                file.seek(start)
                return file.read(end - start)
        return bytes(self._filesystem(place).cat_file(_key(place), start=start, end=end))

    def read_object(self, photo: PlannedPhoto) -> bytes | ImageError:
        """One request where nothing has changed.

        Raises:
            FileNotFoundError: It is not there any more.
        """
        filesystem, key = self._filesystem(photo.path), _key(photo.path)
        if photo.path.startswith("s3"):
            data = bytes(filesystem.cat_file(key, max_concurrency=1))
            if len(data) == photo.size and _is_md5_of(data, photo.etag):
                return data
            # Encrypted and multipart objects have tags that are no MD5: the store has to be asked.
            now = str(filesystem.info(key, refresh=True).get("ETag", "")).strip('"')
            return data if now == photo.etag else ImageAccessError(CHANGED)
        try:
            # A generation is one state of an object; of a bucket that keeps versions, the planned one is read.
            return bytes(filesystem.cat_file(key, generation=photo.etag))
        except FileNotFoundError:
            filesystem.info(key)
            return ImageAccessError(CHANGED)

    def _filesystem(self, place: str) -> Any:
        protocol = place.partition("://")[0]
        with self._lock:
            if protocol not in self._opened:
                self._opened[protocol] = open_bucket(place)[0]
            return self._opened[protocol]


def _key(place: str) -> str:
    return place.partition("://")[2]


def _is_md5_of(data: bytes, etag: str) -> bool:
    try:
        wanted = binascii.unhexlify(etag)
    except ValueError:
        return False
    return hashlib.md5(data, usedforsecurity=False).digest() == wanted
