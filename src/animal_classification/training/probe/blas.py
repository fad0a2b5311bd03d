"""NumPy's matrix library on one thread: fold beside fold is faster than several threads in one small matrix.

On a busy machine its threads wait for each other for minutes, and the last digits of a sum depend on their number.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np

# OpenBLAS as NumPy's wheels carry it, beside the package or (macOS) inside it.
_FOLDERS = ("../numpy.libs", ".dylibs")
_NAMES = "scipy_openblas_{}_num_threads64_", "scipy_openblas_{}_num_threads", "openblas_{}_num_threads"


@contextmanager
def one_thread() -> Iterator[None]:
    """Matrix products in this block use one thread each, where NumPy's library is known; elsewhere nothing changes."""
    controls = _controls()
    before = [get() for get, _ in controls]
    for _, set_ in controls:
        set_(1)
    try:
        yield
    finally:
        for (_, set_), count in zip(controls, before, strict=True):
            set_(count)


@cache
def _controls() -> tuple[tuple[Callable[[], int], Callable[[int], None]], ...]:
    home = Path(np.__file__).parent
    files = [file for folder in _FOLDERS for file in sorted((home / folder).glob("*openblas*"))]
    found = []
    for file in files:
        with contextlib.suppress(OSError):
            library = ctypes.CDLL(str(file))  # it is loaded already: this only finds it
            for name in _NAMES:
                if hasattr(library, name.format("set")):
                    found.append((getattr(library, name.format("get")), getattr(library, name.format("set"))))
                    break
    return tuple(found)
