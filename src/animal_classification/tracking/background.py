"""Trackers that cannot stop a run: the first failure is told once, in one line, and then there is silence."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from animal_classification.registry.mlflow_client import one_line
from animal_classification.tracking.tracker import Tracker

QUEUE_LENGTH = 10_000
# Seconds that the end of a run waits: for a server, and for what is late only because this machine is busy.
PATIENCE = 60.0
LOCAL_PATIENCE = 300.0

Call = Callable[[Tracker], None]
Warn = Callable[[str], None]


class NonFatalTracker:
    """Passes everything on at once, until something fails. For what is quick and must survive a kill: local files."""

    def __init__(self, name: str, open_: Callable[[], Tracker], warn: Warn) -> None:
        """Opens the tracker.

        Args:
            name: For messages.
            open_: Makes the tracker.
            warn: Takes the one line.
        """
        self._name = name
        self._open = open_
        self._warn = warn
        self._trouble = threading.Lock()
        self._failed = False
        self._tracker: Tracker | None = None
        self._start()

    def log_config(self, config: Mapping[str, object]) -> None:
        copy = dict(config)
        self._pass_on(lambda tracker: tracker.log_config(copy))

    def log_metrics(self, values: Mapping[str, float], *, step: int) -> None:
        copy = dict(values)
        self._pass_on(lambda tracker: tracker.log_metrics(copy, step=step))

    def log_image(self, name: str, png: bytes, *, step: int) -> None:
        self._pass_on(lambda tracker: tracker.log_image(name, png, step=step))

    def log_bundle(self, bundle: Path) -> None:
        self._pass_on(lambda tracker: tracker.log_bundle(bundle))

    def begin_close(self, *, failed: bool) -> None:
        """Say that nothing more comes, without waiting."""

    def close(self, *, failed: bool) -> None:
        self._pass_on(lambda tracker: tracker.close(failed=failed))

    def _start(self) -> None:
        self._attempt(self._opened)

    def _pass_on(self, call: Call) -> None:
        self._attempt(lambda: self._give(call))

    def _opened(self) -> None:
        self._tracker = self._open()

    def _give(self, call: Call) -> None:
        if self._tracker is not None and not self._failed:
            call(self._tracker)

    def _attempt(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # whatever it is, training goes on
            self._fail(one_line(error))
            if self._tracker is not None:
                with contextlib.suppress(Exception):
                    self._tracker.close(failed=True)

    def _fail(self, why: str) -> None:
        with self._trouble:
            if self._failed:
                return
            self._failed = True
        self._warn(f"tracking with {self._name} stopped: {why}; the run itself goes on")


class BackgroundTracker(NonFatalTracker):
    """The same on a thread of its own: training never waits for a slow import, database or server."""

    def __init__(
        self,
        name: str,
        open_: Callable[[], Tracker],
        warn: Warn,
        *,
        patience: float = PATIENCE,
        length: int = QUEUE_LENGTH,
    ) -> None:
        """Begins to open the tracker.

        Args:
            name: For messages.
            open_: Makes the tracker; called on the thread.
            warn: Takes the one line, on either thread.
            patience: Seconds that ``close`` waits at most.
            length: Calls that may wait; when there are more, the tracker is given up.
        """
        self._patience = patience
        self._calls: queue.Queue[Call | None] = queue.Queue(maxsize=length)
        self._closing: float | None = None
        self._thread = threading.Thread(target=self._work, name=f"animals-{name}", daemon=True)
        super().__init__(name, open_, warn)

    def begin_close(self, *, failed: bool) -> None:
        if self._closing is None:
            self._closing = time.monotonic()
            self._put(lambda tracker: tracker.close(failed=failed))
            self._put(None)

    def close(self, *, failed: bool) -> None:
        """Wait until everything has been passed on, or the patience is over."""
        self.begin_close(failed=failed)
        assert self._closing is not None
        self._thread.join(max(0.0, self._closing + self._patience - time.monotonic()))
        if self._thread.is_alive():
            self._fail(f"not done {self._patience:.0f} s after the end of the run, so the rest is lost there")

    def _start(self) -> None:
        self._thread.start()

    def _pass_on(self, call: Call) -> None:
        self._put(call)

    def _put(self, call: Call | None) -> None:
        if self._failed:
            return
        try:
            self._calls.put_nowait(call)
        except queue.Full:
            self._fail(f"too slow, {self._calls.maxsize} messages are waiting")

    def _work(self) -> None:
        self._attempt(self._opened)
        while not self._failed and (call := self._calls.get()) is not None:
            self._attempt(lambda call=call: self._give(call))  # type: ignore[misc]
