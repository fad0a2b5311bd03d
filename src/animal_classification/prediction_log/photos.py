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
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_HASH = re.compile(r"[0-9a-f]{64}")
WAITING_BYTES = 64 * 1024 * 1024
SWEEP_EVERY = 600.0
# The bound may be passed by a tenth of it before somebody looks.
SLACK = 10


@dataclass(frozen=True, slots=True)
class PhotoFolder:
    """A folder of photos.

    Attributes:
        root: Made when the first photo comes.
    """

    root: Path

    def path(self, photo: str) -> Path | None:
        """Where the photo with that hash is, or would be; ``None`` for what is no hash."""
        return self.root / photo[:2] / photo if _HASH.fullmatch(photo) else None

    def read(self, photo: str) -> bytes | None:
        """The photo as it is kept, or ``None``."""
        path = self.path(photo)
        try:
            return None if path is None else path.read_bytes()
        except OSError:
            return None

    def has(self, photo: str) -> bool:
        """It is kept."""
        path = self.path(photo)
        return path is not None and path.is_file()

    def put(self, photo: str, data: bytes) -> None:
        """Keep a photo, whole or not at all.

        Raises:
            OSError: The disk is full, or read-only.
        """
        path = self.path(photo)
        assert path is not None
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = path.with_name(f".{photo}.{os.getpid()}.{threading.get_ident()}")
        try:
            temporary.write_bytes(data)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def touch(self, photo: str) -> bool:
        """It was seen again just now; returns whether it is kept."""
        path = self.path(photo)
        try:
            if path is None:
                return False
            os.utime(path)
        except OSError:
            return False
        return True

    def sweep(self, *, most_bytes: int, days: float) -> int:
        """Delete what is older than ``days`` (0: nothing is), then the oldest until the rest fits; returns how many."""
        kept = sorted(self._files())
        size = sum(item[1] for item in kept)
        too_old = time.time() - 86400 * days if days else 0.0
        deleted = 0
        for seen, bytes_, path in kept:
            if seen >= too_old and size <= most_bytes:
                break
            with suppress(OSError):
                path.unlink()
                deleted += 1
                size -= bytes_
        return deleted

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        for path in self.root.glob("??/*"):
            with suppress(OSError):
                status = path.stat()
                yield status.st_mtime, status.st_size, path


class PhotoKeeper:
    """Keeps photos beside the request path, on a thread of its own; a photo for which there is no time is not kept.

    Args:
        folder: Where.
        shrink: Makes of a photo's bytes those to keep; ``None`` where it cannot.
        most_bytes: Bytes that all of them may have.
        days: After how many days without being seen again they are deleted; 0 for never.
    """

    def __init__(
        self, folder: PhotoFolder, shrink: Callable[[bytes], bytes | None], *, most_bytes: int, days: float
    ) -> None:
        self._folder = folder
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
        sweep_at = time.monotonic() + 5
        while True:
            try:
                item = self._waiting.get(timeout=max(0.0, sweep_at - time.monotonic()))
            except queue.Empty:
                sweep_at = time.monotonic() + SWEEP_EVERY
                self._swept()
                continue
            if item is None:
                return
            self._keep(*item)
            if time.monotonic() >= sweep_at or self._unswept_bytes > self._most_bytes // SLACK:
                sweep_at = time.monotonic() + SWEEP_EVERY
                self._swept()

    def _keep(self, photo: str, data: bytes) -> None:
        try:
            if not self._folder.touch(photo):
                small = self._shrink(data)
                if small is not None:
                    self._folder.put(photo, small)
                    self._unswept_bytes += len(small)
        except Exception as error:  # a photo that breaks something, or a full disk
            logging.getLogger(__name__).warning("a photo could not be kept: %s", error)
        finally:
            with self._guard:
                self._waiting_bytes -= len(data)

    def _swept(self) -> None:
        self._unswept_bytes = 0
        try:
            self._folder.sweep(most_bytes=self._most_bytes, days=self._days)
        except OSError as error:
            logging.getLogger(__name__).warning("old photos could not be deleted: %s", error)
