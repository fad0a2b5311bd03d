"""Photos that are kept to be looked at again: under the hash of their bytes, bounded in number of bytes and in age.

Nothing here takes a name from a client: a file is called by a hash, and what is not one is not looked for.
"""

from __future__ import annotations

import logging
import os
import queue
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from animal_classification.prediction_log.database_errors import LogDatabaseError

Item = TypeVar("Item")
_HASH = re.compile(r"[0-9a-f]{64}")
WAITING_BYTES = 64 * 1024 * 1024
SWEEP_EVERY = 600.0
# The bound may be passed by a tenth of it before somebody looks.
SLACK = 10


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

    def sweep(self, *, most_bytes: int, days: float) -> int:
        """Delete what is older than ``days`` (0: nothing is), then the oldest until the rest fits; returns how many."""
        ...


def photos_at(place: str) -> PhotoStore:
    """The photos in a folder, or at an fsspec URL.

    Raises:
        UsageError: An address of an unknown kind.
        MissingExtraError: A package for this kind of address is not installed.
    """
    if "://" not in place:
        return PhotoFolder(Path(place))
    from animal_classification.prediction_log.photo_bucket import open_bucket

    return open_bucket(place)


def too_much(kept: Iterable[tuple[float, int, Item]], *, most_bytes: int, days: float) -> list[Item]:
    """What has to go, the oldest first: what is older than ``days`` (0: nothing is), and then what is too much.

    Args:
        kept: When each was last seen in seconds since 1970, its bytes, and what it is called.
        most_bytes: That may stay; less than none for nothing.
        days: How old they may become.
    """
    ordered = sorted(kept, key=lambda item: item[0])
    size = sum(item[1] for item in ordered)
    too_old = time.time() - 86400 * days if days else 0.0
    gone = []
    for seen, bytes_, item in ordered:
        if seen >= too_old and size <= most_bytes:
            break
        gone.append(item)
        size -= bytes_
    return gone


@dataclass(frozen=True, slots=True)
class PhotoFolder:
    """A folder of photos.

    Attributes:
        root: Made when the first photo comes.
        sweep_every: Seconds between two looks at what is too much.
    """

    root: Path
    sweep_every: float = SWEEP_EVERY

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
        temporary = path.with_name(f".{photo}.{os.getpid()}.{threading.get_ident()}")
        try:
            temporary.write_bytes(data)
            temporary.replace(path)
        except PermissionError:
            # Windows replaces nothing that somebody reads; what is there under this name is the same photo.
            if not path.is_file():
                raise
        finally:
            temporary.unlink(missing_ok=True)

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

    def sweep(self, *, most_bytes: int, days: float) -> int:
        deleted = 0
        for path in too_much(self._files(), most_bytes=most_bytes, days=days):
            with suppress(OSError):
                path.unlink()
                deleted += 1
        return deleted

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        for path in self.root.glob("??/*"):
            # Photos, and what a process that was killed has left of one.
            if is_hash(path.name) or is_hash(path.name[1:65]):
                with suppress(OSError):
                    status = path.stat()
                    yield status.st_mtime, status.st_size, path


class PhotoKeeper:
    """Keeps photos beside the request path, on a thread of its own; a photo for which there is no time is not kept.

    It deletes what is too old or too much as well, from its start on, also where no photos are kept any more.

    Args:
        store: Where.
        shrink: Makes of a photo's bytes those to keep; ``None`` where it cannot.
        most_bytes: Bytes that all of them may have.
        days: After how many days without being seen again they are deleted; 0 for never.
    """

    def __init__(
        self, store: PhotoStore, shrink: Callable[[bytes], bytes | None], *, most_bytes: int, days: float
    ) -> None:
        self._store = store
        self._shrink = shrink
        self._most_bytes = most_bytes
        self._days = days
        self._waiting: queue.SimpleQueue[tuple[str, bytes] | None] = queue.SimpleQueue()
        self._waiting_bytes = self._unswept_bytes = 0
        self._guard = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="animals-photos", daemon=True)
        self._thread.start()

    def keep(self, photo: str, data: bytes) -> bool:
        """Keep a photo soon; from any thread. Returns whether there is room for it to wait."""
        with self._guard:
            if self._waiting_bytes + len(data) > WAITING_BYTES:
                return False
            self._waiting_bytes += len(data)
        self._waiting.put((photo, data))
        return True

    def close(self, timeout: float) -> None:
        """Keep what waits, as far as it can be done in ``timeout`` seconds."""
        self._waiting.put(None)
        self._thread.join(timeout)

    def _run(self) -> None:
        sweep_at = time.monotonic()  # at once: a process may not live for long
        while True:
            try:
                item = self._waiting.get(timeout=max(0.0, sweep_at - time.monotonic()))
            except queue.Empty:
                sweep_at = time.monotonic() + self._store.sweep_every
                self._swept()
                continue
            if item is None:
                return
            self._keep(*item)
            if time.monotonic() >= sweep_at or self._unswept_bytes > self._most_bytes // SLACK:
                sweep_at = time.monotonic() + self._store.sweep_every
                self._swept()

    def _keep(self, photo: str, data: bytes) -> None:
        try:
            if not self._store.touch(photo):
                small = self._shrink(data)
                if small is not None:
                    self._store.put(photo, small)
                    self._unswept_bytes += len(small)
        except Exception as error:  # a photo that breaks something, a full disk, a bucket that is gone
            logging.getLogger(__name__).warning("a photo could not be kept: %s", error)
        finally:
            with self._guard:
                self._waiting_bytes -= len(data)

    def _swept(self) -> None:
        self._unswept_bytes = 0
        try:
            self._store.sweep(most_bytes=self._most_bytes, days=self._days)
        except Exception as error:  # file systems behind fsspec have exceptions of their own
            logging.getLogger(__name__).warning("old photos could not be deleted: %s", error)
