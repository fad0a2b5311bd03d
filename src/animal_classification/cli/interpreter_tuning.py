"""How Python's interpreter is set while a command works that imports much and does not live long."""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Seconds. A thread that imports holds the interpreter for a turn each time that another comes back from a NumPy call:
# at Python's 5 ms the head of `probe` took twice as long beside MLflow's import.
TURN = 0.0005
# Imports make hundreds of thousands of objects that stay; Python's 700 has them looked through again and again.
THRESHOLDS = (20_000, 20, 20)


@contextmanager
def short_run() -> Iterator[None]:
    """Shorter turns of threads, fewer looks for garbage, and none at the end of the process."""
    turn, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(TURN)
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        sys.setswitchinterval(turn)
        gc.set_threshold(*thresholds)
        atexit.register(_spare_the_last_look)


def _spare_the_last_look() -> None:
    """The system takes all memory back anyway, and in a second less."""
    if "duckdb" not in sys.modules:  # which complains of what it then still has
        gc.freeze()
