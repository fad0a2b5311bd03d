"""Keeps the memory of a process level while models come and go (glibc; elsewhere nothing happens).

An engine's weights and buffers are large blocks that live as long as the model. Within the heap, between the
short-lived blocks of requests, they would leave holes when they go: two megabytes for each change of model under load.
Mapped one by one they go without a trace; but to map the blocks of every request like that costs each photo 4 to 9% of
its time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from animal_classification.common.allocator import give_back, glibc

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGE = 128 * 1024
# Where glibc's own adjustment ends, after some large photos.
_USUAL, _USUAL_TRIM = 32 * 1024 * 1024, 64 * 1024 * 1024
# Until then the threads that worked with a model have forgotten it.
_SOON = 0.5

_loading = 0
_lock = threading.Lock()


@contextmanager
def large_blocks_apart() -> Iterator[None]:
    """Within the context large blocks, of any thread, are mapped one by one."""
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


def release_soon() -> None:
    """Have the allocator return what is free, soon and on a thread of its own; it takes milliseconds."""
    if glibc() is not None:
        timer = threading.Timer(_SOON, give_back)
        timer.daemon = True
        timer.start()


def _set(parameter: int, value: int) -> None:
    libc = glibc()
    if libc is not None:
        libc.mallopt(parameter, value)
