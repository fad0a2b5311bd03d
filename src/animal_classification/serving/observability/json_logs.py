"""The server's log: one JSON object a line on stdout.

Written beside the event loop, so that a slow reader holds up nobody.
"""

from __future__ import annotations

import json
import logging
import queue
import sys
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

from animal_classification.serving.middleware.request_log import REQUEST_ID
from animal_classification.serving.observability import tracing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_WAITING = 10_000
MODELS = "animal_classification.serving.models"


class LineWriter:
    """Writes lines from a thread of its own; what a reader who stands still leaves no room for is dropped, and said."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._waiting: queue.Queue[str | None] = queue.Queue(MAX_WAITING)
        self._dropped = 0
        self._thread = threading.Thread(target=self._work, name="animals-log", daemon=True)
        self._thread.start()

    def write(self, record: dict[str, Any]) -> None:
        """Write a record, soon."""
        try:
            self._waiting.put_nowait(_as_line(record))
        except queue.Full:
            self._dropped += 1

    def access(self, facts: dict[str, Any]) -> None:
        """Write what is known of a request that was answered."""
        self.write({"time": now(), "level": "info", "event": "request", **facts})

    def close(self) -> None:
        """Write what waits, for two seconds at the most."""
        try:
            self._waiting.put(None, timeout=1)
        except queue.Full:
            return
        self._thread.join(1)

    def _work(self) -> None:
        while (line := self._waiting.get()) is not None:
            if dropped := self._dropped:
                self._dropped = 0
                line += _as_line({"time": now(), "level": "warning", "event": "log lines dropped", "count": dropped})
            try:
                self._stream.write(line)
                if self._waiting.empty():
                    self._stream.flush()
            except (OSError, ValueError):  # nobody reads any more
                continue


class JsonHandler(logging.Handler):
    """Sends what libraries log to a ``LineWriter``."""

    def __init__(self, writer: LineWriter) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        facts = {
            "time": now(),
            "level": record.levelname.lower(),
            "event": "log",
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (request_id := REQUEST_ID.get()) is not None:
            facts["request_id"] = request_id
        if (trace := tracing.current()) is not None:
            facts["trace_id"] = trace.trace_id
        if record.exc_info:
            facts["exception"] = logging.Formatter().formatException(record.exc_info)
        self._writer.write(facts)


@contextmanager
def installed(*, as_json: bool) -> Iterator[Callable[[dict[str, Any]], None] | None]:
    """Send the log of this process to where an operator reads it; yields what takes the facts of each request.

    Args:
        as_json: Lines of JSON on stdout, a line for each request among them; otherwise text on stderr, and none.
    """
    # It warns of every malformed body, which is the client's business.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    logging.getLogger(MODELS).setLevel(logging.INFO)  # who answers is worth knowing
    if not as_json:
        with _models_as_text():
            yield None
        return
    writer = LineWriter()
    handler = JsonHandler(writer)
    logging.getLogger().addHandler(handler)
    try:
        yield writer.access
    finally:
        logging.getLogger().removeHandler(handler)
        writer.close()


@contextmanager
def _models_as_text() -> Iterator[None]:
    """What becomes of the models on stderr, as the command line says such things."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("animals: %(message)s"))
    logger = logging.getLogger(MODELS)
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.propagate = True
        logger.removeHandler(handler)


def now() -> str:
    """UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _as_line(record: dict[str, Any]) -> str:
    return json.dumps(record, separators=(",", ":"), default=str) + "\n"
