"""The C library's allocator, where it is glibc: elsewhere nothing here does anything."""

from __future__ import annotations

import ctypes
import sys


def glibc() -> ctypes.CDLL | None:
    """glibc, which alone has ``malloc_trim`` and ``mallopt``."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "malloc_trim") and hasattr(libc, "gnu_get_libc_version") else None


def give_back() -> None:
    """Return free memory of all threads to the system; it takes milliseconds (malloc_trim(3)).

    What a thread frees stays with its arena otherwise, where other threads cannot use it: each would keep what its
    largest photo took.
    """
    libc = glibc()
    if libc is not None:
        libc.malloc_trim(0)
