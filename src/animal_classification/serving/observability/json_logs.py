"""The server's log: one JSON object a line on stdout.

A thread of its own writes it, so that a slow reader delays no answer. docs/decisions.md says why it is not
``logging.handlers.QueueListener``.
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
# In ``extra`` of a call of the logger: facts for the line of JSON; ``event`` among them says what it is about.
FIELDS = "fields"
MODELS = "animal_classification.serving.models"


class LineWriter:
    """Writes lines on a thread of its own. While its reader is stuck, lines are dropped and counted."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._waiting: queue.Queue[str | None] = queue.Queue(MAX_WAITING)
        self._dropped = 0
        self._thread = threading.Thread(target=self._work, name="animals-log", daemon=True)
        self._thread.start()

    def write(self, record: dict[str, Any]) -> None:
        """Have the thread write a record."""
        try:
            self._waiting.put_nowait(_as_line(record))
        except queue.Full:
            self._dropped += 1

    def access(self, fields: dict[str, Any]) -> None:
        """Write the record of a request that was answered."""
        self.write({"time": now(), "level": "info", "event": "request", **fields})

    def close(self) -> None:
        """Write the lines that wait, for at most two seconds."""
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
            except (OSError, ValueError):  # the reader is gone
                continue


class JsonHandler(logging.Handler):
    """Sends what libraries log to a ``LineWriter``."""

    def __init__(self, writer: LineWriter) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        fields = {
            "time": now(),
            "level": record.levelname.lower(),
            "event": "log",
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (request_id := REQUEST_ID.get()) is not None:
            fields["request_id"] = request_id
        if (trace := tracing.current()) is not None:
            fields["trace_id"] = trace.trace_id
        fields |= getattr(record, FIELDS, {})
        if record.exc_info:
            fields["exception"] = logging.Formatter().formatException(record.exc_info)
        self._writer.write(fields)


@contextmanager
def logging_configured(*, as_json: bool) -> Iterator[Callable[[dict[str, Any]], None] | None]:
    """Send this process's log to where an operator reads it; yields what takes the record of each request.

    Args:
        as_json: JSON on stdout, with a line for each request; otherwise text on stderr, without them.
    """
    # It warns of every malformed body, which the client is told of.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    logging.getLogger(MODELS).setLevel(logging.INFO)  # changes of the models
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
    """Changes of the models on stderr, as the command line prints messages."""
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
