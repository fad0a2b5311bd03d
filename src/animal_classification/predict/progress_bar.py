"""How far it is, how fast, and how long it will take: on a terminal, and only for runs that take a while."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from animal_classification.data.discovery import PhotoPaths

SILENT_SECONDS = 2.0
BETWEEN_SECONDS = 0.2
COUNT_SECONDS = 3.0


class ProgressBar:
    """A bar on stderr that shows itself after two seconds.

    The photos are counted beside the work, because on a slow disk listing them takes a while.

    Args:
        photos: To be counted.
        done: How many have a row already.
        shown: Whether there may be a bar.
    """

    def __init__(self, photos: PhotoPaths, *, done: int, shown: bool) -> None:
        self.total: int | None = None
        self._before = done
        self._done = done
        self._shown = shown and sys.stderr.isatty()
        self._started = time.monotonic()
        self._last = self._started
        self._bar: tuple[Progress, TaskID] | None = None
        self._counting = threading.Thread(target=self._count, args=(photos,), name="animals-count", daemon=True)
        self._counting.start()

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return time.monotonic() - self._started

    @property
    def rate(self) -> float:
        """Photos a second, of this run."""
        return (self._done - self._before) / max(self.seconds, 1e-9)

    def final_total(self) -> int | None:
        """How many photos there are, waiting a moment for a count that is almost through; ``None`` if it is not."""
        self._counting.join(COUNT_SECONDS)
        return self.total

    def advance(self) -> None:
        """One more photo is done."""
        self._done += 1
        now = time.monotonic()
        if not self._shown or now - self._started < SILENT_SECONDS or now - self._last < BETWEEN_SECONDS:
            return
        self._last = now
        progress, task = self._bar = self._bar or self._open()
        progress.update(task, completed=self._done, total=self.total, rate=f"{self.rate:.0f} photos/s")

    def close(self) -> None:
        """Wipe the bar away."""
        if self._bar is not None:
            self._bar[0].stop()

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

    def _count(self, photos: PhotoPaths) -> None:
        self.total = sum(1 for _ in photos.walk())
