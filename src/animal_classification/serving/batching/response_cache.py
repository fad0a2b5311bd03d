"""A bounded cache of answers, by the hash of the photo's bytes."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

from animal_classification.serving.batching.inference_jobs import Extras

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from animal_classification.serving.batching.inference_jobs import PhotoOutcome
    from animal_classification.serving.http.uploads import UploadedPhoto

# Hashing more than this takes a millisecond or so, which the event loop should not spend.
SMALL = 1024 * 1024

Key = tuple[bytes, int, Extras]
Result = TypeVar("Result")


class ResponseCache:
    """The outcomes for the most recently used photos, of one model.

    Args:
        size: How many; 0 for none.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._outcomes: OrderedDict[Key, PhotoOutcome] = OrderedDict()
        self._lock = threading.Lock()

    async def keys(self, photos: Sequence[UploadedPhoto], top_k: int, extras: Extras) -> list[Key | None]:
        """The cache key of each photo; ``None`` where its answer is not cached."""
        if not self._size:
            return [None] * len(photos)
        if sum(len(photo.data) for photo in photos) <= SMALL:
            return _keys(photos, top_k, extras)
        return await asyncio.to_thread(_keys, photos, top_k, extras)

    def get(self, key: Key | None, name: str) -> PhotoOutcome | None:
        """The outcome, under this request's file name."""
        if key is None:
            return None
        with self._lock:
            outcome = self._outcomes.get(key)
            if outcome is None:
                return None
            self._outcomes.move_to_end(key)
        return replace(outcome, result=replace(outcome.result, path=name), seconds=None, id=str(uuid4()))

    def put(self, key: Key | None, outcome: PhotoOutcome) -> None:
        """Cache an outcome; from any thread.

        Errors are not cached, nor are answers without the heatmap that the request wanted.
        """
        if key is None or outcome.result.prediction is None or (key[2].heatmap and outcome.heatmap is None):
            return
        with self._lock:
            self._outcomes[key] = outcome
            self._outcomes.move_to_end(key)
            while len(self._outcomes) > self._size:
                self._outcomes.popitem(last=False)

    def caching(self, key: Key | None, then: Callable[[PhotoOutcome], Result]) -> Callable[[PhotoOutcome], Result]:
        """``then``, which also caches the outcome that it converts."""
        if key is None:
            return then

        def cache_and_convert(outcome: PhotoOutcome) -> Result:
            self.put(key, outcome)
            return then(outcome)

        return cache_and_convert


def _keys(photos: Sequence[UploadedPhoto], top_k: int, extras: Extras) -> list[Key | None]:
    hashes = [hashlib.sha256(photo.data).digest() if photo.error is None else None for photo in photos]
    return [None if found is None else (found, top_k, extras) for found in hashes]
