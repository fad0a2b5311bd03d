"""Keeps the memory of a process level while models and large photos come and go.

All of it is about glibc's allocator: with any other, nothing here does anything.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # mallopt(3)
_LARGE = 128 * 1024
# Where glibc's own adjustment ends, after some large photos.
_USUAL, _USUAL_TRIM = 32 * 1024 * 1024, 64 * 1024 * 1024
# Until then the threads that worked with a model have forgotten it.
_SOON = 0.5

_loading = 0
_lock = threading.Lock()


def give_back() -> None:
    """Return free memory of all threads to the system; it takes milliseconds (malloc_trim(3)).

    What a thread frees stays with its arena otherwise, where other threads cannot use it: each would keep what its
    largest photo took.
    """
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def give_back_soon() -> None:
    """The same in half a second, on a thread of its own."""
    if _glibc() is not None:
        timer = threading.Timer(_SOON, give_back)
        timer.daemon = True
        timer.start()


@contextmanager
def large_blocks_apart() -> Iterator[None]:
    """While the block runs, memory for large objects is mapped one by one, in all threads.

    A model's weights and buffers are large and live as long as the model. Within the heap, between the short-lived
    memory of requests, they would leave holes when they go: two megabytes for each change of model under load. Mapped
    one by one they go without a trace; but to map the memory of every request like that costs each photo 4 to 9% of its
    time.
    """
    global _loading  # noqa: PLW0603 - it is a setting of the process
    with _lock:
        _loading += 1
        _set(_M_MMAP_THRESHOLD, _LARGE)
    try:
        yield
    finally:
        with _lock:
            _loading -= 1
            if not _loading:
                _set(_M_MMAP_THRESHOLD, _USUAL)
                _set(_M_TRIM_THRESHOLD, _USUAL_TRIM)


def _glibc() -> ctypes.CDLL | None:
    """The C library if it is glibc, which alone has ``malloc_trim`` and ``mallopt``."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "malloc_trim") and hasattr(libc, "gnu_get_libc_version") else None


def _set(parameter: int, value: int) -> None:
    libc = _glibc()
    if libc is not None:
        libc.mallopt(parameter, value)
