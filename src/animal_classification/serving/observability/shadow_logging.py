"""Keeps what shadows say beside the answers that were given, for people to judge where they differ."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from animal_classification.errors import AnimalsError
from animal_classification.prediction_log.shadow_rows import ShadowRow, keep

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from animal_classification.inference import Prediction

MOST_WAITING = 2000
# An answer's own row comes to the database half a second after it; a row without one for so long has none.
PATIENCE = 60.0
_EVERY = 1.0
_AT_ONCE = 200


class ShadowLog:
    """Writes rows on a thread of its own, each when the answer that it belongs to is in the database.

    Args:
        database: Opens the log's database.
    """

    def __init__(self, database: Callable[[], Engine]) -> None:
        self._database = database
        self._waiting: deque[tuple[float, ShadowRow]] = deque(maxlen=MOST_WAITING)
        self._changed = threading.Condition()
        self._closed = False
        self._failed = False
        self._thread: threading.Thread | None = None  # most servers have no shadow

    def compared(self, identity: str, name: str, version: str, said: Prediction) -> None:
        """Keep a comparison soon; from any thread. Never waits."""
        row = ShadowRow(
            prediction=identity,
            model=name,
            version=version,
            label_id=said.label_id,
            probability=said.probability,
            unknown=said.unknown,
        )
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="animals-shadow-log", daemon=True)
                self._thread.start()
            self._waiting.append((time.monotonic(), row))
            self._changed.notify()

    def close(self, timeout: float) -> None:
        """Write what waits, as far as that can be done in ``timeout`` seconds."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._waiting)
                closed = self._closed
                if not closed:  # let a few come together, and their answers arrive
                    self._changed.wait_for(lambda: self._closed, timeout=_EVERY)
                rows = [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]
            late = self._write(rows)
            with self._changed:
                if not closed:
                    self._waiting.extendleft(reversed(late))
                elif not self._waiting:
                    return

    def _write(self, rows: list[tuple[float, ShadowRow]]) -> list[tuple[float, ShadowRow]]:
        """Write rows; returns those to try again."""
        if not rows:
            return []
        try:
            missing = keep(self._database(), [row for _, row in rows])
            self._failed = False
        except AnimalsError as error:
            if not self._failed:
                logging.getLogger(__name__).warning("what the shadow says cannot be kept: %s", error)
            self._failed = True
            missing = {row.prediction for _, row in rows}
        begun = time.monotonic() - PATIENCE
        return [(since, row) for since, row in rows if row.prediction in missing and since > begun]
