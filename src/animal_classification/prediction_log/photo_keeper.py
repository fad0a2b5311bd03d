"""Keeps photos beside the request path, on a thread of its own."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from animal_classification.prediction_log.photo_retention import Wanted, nothing_wanted
from animal_classification.prediction_log.photo_store import PhotoStore

WAITING_BYTES = 64 * 1024 * 1024
# The bound may be passed by a tenth of it before the next sweep.
SLACK = 10
SWEEP_AGAIN = 60.0  # seconds, after one that failed


class PhotoKeeper:
    """Keeps photos on a thread of its own; a photo that finds the queue full is not kept.

    It also deletes photos that are too old or too many, from its start on, even when no more photos are kept.

    Args:
        store: Where.
        shrink: Makes of a photo's bytes those to keep; ``None`` where it cannot.
        most_bytes: Bytes that all of them may have.
        days: After how many days without being seen again they are deleted; 0 for never.
        wanted: Says which photos stay whatever their age. Where it fails, nothing is deleted. Where they alone are more
            than ``most_bytes``, no others are kept.
    """

    def __init__(
        self,
        store: PhotoStore,
        shrink: Callable[[bytes], bytes | None],
        *,
        most_bytes: int,
        days: float,
        wanted: Wanted = nothing_wanted,
    ) -> None:
        self._store = store
        self._shrink = shrink
        self._most_bytes = most_bytes
        self._days = days
        self._wanted = wanted
        self._full = self._failed = False
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
                sweep_at = time.monotonic() + self._pause_after_sweep()
                continue
            if item is None:
                return
            self._keep(*item)
            if time.monotonic() >= sweep_at or self._unswept_bytes > self._most_bytes // SLACK:
                sweep_at = time.monotonic() + self._pause_after_sweep()

    def _keep(self, photo: str, data: bytes) -> None:
        try:
            if not self._store.touch(photo) and not self._full:
                small = self._shrink(data)
                if small is not None:
                    self._store.put(photo, small)
                    self._unswept_bytes += len(small)
        except Exception as error:  # a photo that breaks something, a full disk, a bucket that is gone
            logging.getLogger(__name__).warning("a photo could not be kept: %s", error)
        finally:
            with self._guard:
                self._waiting_bytes -= len(data)

    def _pause_after_sweep(self) -> float:
        """Delete what is too old or too much; returns after how many seconds that is due again."""
        self._unswept_bytes = 0
        try:
            left = self._store.sweep(most_bytes=self._most_bytes, days=self._days, wanted=self._wanted).bytes_left
            self._failed = False
        except Exception as error:  # file systems behind fsspec have exceptions of their own
            if not self._failed:
                logging.getLogger(__name__).warning("old photos could not be deleted: %s", error)
            self._failed = True
            with suppress(Exception):
                self._full = self._store.kept()[1] > self._most_bytes
            return min(SWEEP_AGAIN, self._store.sweep_every)
        if left > self._most_bytes and not self._full:
            logging.getLogger(__name__).warning(
                "the photos that people reviewed have %d bytes, more than photo_bytes (%d): they stay, and new photos "
                "are not kept; raise ANIMALS_PHOTO_BYTES, or delete some with animals monitor forget",
                left,
                self._most_bytes,
            )
        self._full = left > self._most_bytes
        return self._store.sweep_every
