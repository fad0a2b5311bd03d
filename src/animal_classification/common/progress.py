"""How far a long piece of work is: who does it calls a ``Progress``, and a command shows it in one line on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType

SILENT_SECONDS = 2.0
BETWEEN_SECONDS = 0.1

Progress = Callable[[str, int, int], None]
"""Is told what is being done, how much of it is done, and how much there is: ``progress("reading photos", 3, 10)``."""


def silent(what: str, done: int, total: int) -> None:
    """The progress of work that nobody watches."""


def renamed(progress: Progress, what: str) -> Progress:
    """The same progress under another name, for work that has a name of its own where it is done."""
    return lambda _, done, total: progress(what, done, total)


class ProgressLine:
    """A ``Progress`` that shows ``what: done of total`` on a terminal, after two seconds.

    Used as a context, so that the line is gone at the end.

    Args:
        shown: Whether to show anything.
    """

    def __init__(self, *, shown: bool = True) -> None:
        self._shown = shown and sys.stderr.isatty()
        self._begun = self._last = time.monotonic()
        self._what = ""
        self._width = 0

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._width:
            print(f"\r{'':{self._width}}\r", end="", file=sys.stderr, flush=True)

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if what != self._what or done == total or now - self._last > BETWEEN_SECONDS:
            self._show(what, f"{what}: {done} of {total}", now)

    def describe(self, what: str) -> None:
        """Say what is being done now, where nobody knows how much of it there is."""
        self._show(what, what, time.monotonic())

    def _show(self, what: str, text: str, now: float) -> None:
        if not self._shown or now - self._begun < SILENT_SECONDS:
            return
        self._last, self._what = now, what
        print(f"\r{text:{self._width}}", end="", file=sys.stderr, flush=True)
        self._width = max(self._width, len(text))
