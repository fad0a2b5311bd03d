"""What a long command is doing: one line on stderr, on a terminal, after two seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from types import TracebackType

SILENT_SECONDS = 2.0
BETWEEN_SECONDS = 0.1


class Stages:
    """Shows ``what: done of total``; used as a context, so that the line is gone at the end."""

    def __init__(self, *, shown: bool = True) -> None:
        self._shown = shown and sys.stderr.isatty()
        self._begun = self._last = time.monotonic()
        self._what = ""
        self._width = 0

    def __enter__(self) -> Stages:
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

    def of(self, what: str) -> Callable[[int, int], None]:
        """For whoever tells only how much is done."""
        return partial(self, what)

    def _show(self, what: str, text: str, now: float) -> None:
        if not self._shown or now - self._begun < SILENT_SECONDS:
            return
        self._last, self._what = now, what
        print(f"\r{text:{self._width}}", end="", file=sys.stderr, flush=True)
        self._width = max(self._width, len(text))
