"""What a terminal shows while ``animals predict`` is at work, and Ctrl-C as a question that the run answers."""

# Imported where they are used: rich's progress takes 60 ms to load, and short runs show none.

from __future__ import annotations

import sys
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from animal_classification.cli.interrupts import stop_asked
from animal_classification.predict.job import Listener

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import Progress, TaskID

    from animal_classification.data.discovery import PhotoSource

SILENT_SECONDS = 2.0
BETWEEN_SECONDS = 0.2
COUNT_SECONDS = 3.0


class ProgressBar(Listener):
    """A bar on stderr that shows itself after two seconds: what listens to a run.

    From the start of the run until ``close``, SIGINT and SIGTERM ask the run to stop. The photos are counted
    beside the work, because on a slow disk listing them takes a while.

    Args:
        shown: Whether there may be a bar.
    """

    def __init__(self, *, shown: bool) -> None:
        self.total: int | None = None
        self._shown = shown and sys.stderr.isatty()
        self._before = self._done = 0
        self._started = self._last = time.monotonic()
        self._bar: tuple[Progress, TaskID] | None = None
        self._counting: threading.Thread | None = None
        self._handlers = ExitStack()
        self._is_stopped: Callable[[], bool] = lambda: False

    @property
    def rate(self) -> float:
        """Photos a second, of this run."""
        return (self._done - self._before) / max(time.monotonic() - self._started, 1e-9)

    def final_total(self) -> int | None:
        """How many photos there are, waiting a moment for a count that is almost through; ``None`` if it is not."""
        if self._counting is not None:
            self._counting.join(COUNT_SECONDS)
        return self.total

    def start(self, photos: PhotoSource, done: int) -> None:
        """The run begins; ``done`` photos have a row already."""
        self._before = self._done = done
        self._started = self._last = time.monotonic()
        self._counting = threading.Thread(target=self._count, args=(photos,), name="animals-count", daemon=True)
        self._counting.start()
        self._is_stopped = self._handlers.enter_context(stop_asked())

    def is_stopped(self) -> bool:
        """Whether somebody has asked the run to stop."""
        return self._is_stopped()

    def advance(self) -> None:
        """One more photo is done."""
        self._done += 1
        now = time.monotonic()
        if not self._shown or now - self._started < SILENT_SECONDS or now - self._last < BETWEEN_SECONDS:
            return
        self._last = now
        progress, task = self._bar = self._bar or self._open()
        progress.update(task, completed=self._done, total=self.total, rate=f"{self.rate:.0f} photos/s")

    def finish(self) -> None:
        """Wipe the bar away."""
        if self._bar is not None:
            self._bar[0].stop()

    def close(self) -> None:
        """Ctrl-C ends the program again."""
        self._handlers.close()

    def _open(self) -> tuple[Progress, TaskID]:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        progress = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=Console(stderr=True),
            transient=True,
            refresh_per_second=4,
        )
        progress.start()
        return progress, progress.add_task("", total=self.total, completed=self._done, rate="")

    def _count(self, photos: PhotoSource) -> None:
        self.total = sum(1 for _ in photos.walk())
