"""Answers that need not be computed again: bounded, by the hash of the photo's bytes."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from animal_classification.serving.photo_jobs import Outcome
    from animal_classification.serving.uploads import Photo

# Hashing more than this takes a millisecond or so, which the event loop should not spend.
SMALL = 1024 * 1024

Key = tuple[bytes, int, bool]


class Answers:
    """The outcomes for the photos asked for last, of one model.

    Args:
        size: How many; 0 for none.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._outcomes: OrderedDict[Key, Outcome] = OrderedDict()
        self._lock = threading.Lock()

    async def key(self, photo: Photo, top_k: int, heatmap: bool) -> Key | None:
        """Under what the outcome for ``photo`` is remembered; ``None`` where it is not."""
        if not self._size or photo.error is not None:
            return None
        if len(photo.data) <= SMALL:
            return _hash(photo.data), top_k, heatmap
        return await asyncio.to_thread(_hash, photo.data), top_k, heatmap

    def get(self, key: Key | None, name: str) -> Outcome | None:
        """The outcome, under this request's file name."""
        if key is None:
            return None
        with self._lock:
            outcome = self._outcomes.get(key)
            if outcome is None:
                return None
            self._outcomes.move_to_end(key)
        return replace(outcome, result=replace(outcome.result, path=name), seconds=None, id=str(uuid4()))

    def put(self, key: Key | None, outcome: Outcome) -> None:
        """Remember an outcome; from any thread. A photo that cannot be used is not remembered."""
        if key is None or outcome.result.prediction is None:
            return
        with self._lock:
            self._outcomes[key] = outcome
            self._outcomes.move_to_end(key)
            while len(self._outcomes) > self._size:
                self._outcomes.popitem(last=False)


def _hash(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
