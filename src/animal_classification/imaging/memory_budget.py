"""The memory in which photos are decoded: one budget that all threads of a process share."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from animal_classification.common.allocator import give_back
from animal_classification.common.limits import available_memory
from animal_classification.errors import ImageMemoryError, UsageError

MIB = 1 << 20
# What a process takes before it decodes anything: Python, an engine, a model (measured: 224 to 300 MB), and some room.
RESERVED = 384 * MIB
LARGE = 64 * MIB  # of a photo, after which the allocator is made to return what is free
UNKNOWN = 4096 * MIB  # what counts as the memory that there is where nothing says
SMALLEST = 64 * MIB  # in which a photo of 12 megapixels can be decoded from any format but WebP, AVIF and HEIC


class DecodingMemory:
    """A weighed semaphore: each photo claims the bytes that decoding it takes at most, and waits until they are free.

    Photos get their turns in the order in which they came, so that a large one is not passed by small ones for ever.

    Args:
        limit: Bytes, of all photos that are being decoded together.
        patience: Seconds that a photo waits for its turn.

    Raises:
        UsageError: ``limit`` is below 1.
    """

    def __init__(self, limit: int, *, patience: float = math.inf) -> None:
        if limit < 1:
            raise UsageError(f"the memory for decoding is {limit} bytes; it must be at least 1")
        self._limit = limit
        self._patience = patience
        self._held = 0
        self._changed = threading.Condition()
        self._line: deque[object] = deque()

    @classmethod
    def of_container(cls, *, patience: float = math.inf) -> DecodingMemory:
        """What the container's memory allows (:func:`share_for_decoding`)."""
        return cls(share_for_decoding(available_memory()), patience=patience)

    @property
    def limit(self) -> int:
        """Bytes that there are in all."""
        return self._limit

    @property
    def held(self) -> int:
        """Bytes that are claimed now."""
        return self._held

    @contextmanager
    def claim(self, amount: int, what: str) -> Iterator[None]:
        """Hold ``amount`` bytes for as long as the context lasts; claims must not be nested.

        Args:
            amount: Bytes.
            what: Such as ``10000 x 10000 pixels of WebP``, for the message.

        Raises:
            ImageMemoryError: It is more than there is in all, or others hold it for longer than the patience.
        """
        if amount > self._limit:
            raise ImageMemoryError(
                f"takes up to {_megabytes(amount)} MB to decode ({what}); {_megabytes(self._limit)} MB may be used: "
                "make it smaller or save it as JPEG"
            )
        self._take(amount)
        try:
            yield
        finally:
            if amount >= LARGE:
                give_back()
            with self._changed:
                self._held -= amount
                self._changed.notify_all()

    def _take(self, amount: int) -> None:
        with self._changed:
            if not self._line and self._held + amount <= self._limit:
                self._held += amount
                return
            place = object()
            self._line.append(place)
            started = time.monotonic()
            try:
                while self._line[0] is not place or self._held + amount > self._limit:
                    left = started + self._patience - time.monotonic()
                    if left <= 0:
                        raise self._too_late(amount)
                    self._changed.wait(None if left == math.inf else left)
                self._held += amount
            finally:
                self._line.remove(place)
                self._changed.notify_all()  # somebody else stands in front now

    def _too_late(self, amount: int) -> ImageMemoryError:
        return ImageMemoryError(
            f"waited {self._patience:.0f} s for {_megabytes(amount)} of the {_megabytes(self._limit)} MB for decoding, "
            "which other large photos took; send it again later"
        )


def share_for_decoding(memory: int | None) -> int:
    """Bytes for decoding where nobody says: half of the container's memory, less what the process itself takes.

    The other half is for request bodies, a second model while one is exchanged, and what allocators keep.

    >>> share_for_decoding(2048 * MIB) // MIB
    832

    Args:
        memory: Bytes that the process may use; ``None`` where that is not known.
    """
    return max(SMALLEST, ((UNKNOWN if memory is None else memory) - RESERVED) // 2)


def _megabytes(amount: int) -> str:
    return f"{math.ceil(amount / 1e6):,}"
