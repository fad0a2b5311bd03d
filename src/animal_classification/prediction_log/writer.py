"""The log of a process that serves: rows go to a file at once, and from there to the database on a thread of its own.

Whatever the database does, a prediction costs a write of some kilobytes to a file, and no answer waits for more. When
the database is gone the files grow, up to a bound, and are drained in their order when it is back.
"""

# Imported where they are used: SQLAlchemy takes 120 ms to load, and a server without a prediction log needs none of it.

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from animal_classification.prediction_log.database import connect, is_there
from animal_classification.prediction_log.database_errors import LogDatabaseError
from animal_classification.prediction_log.location import LogLocation
from animal_classification.prediction_log.record import PredictionRecord
from animal_classification.prediction_log.spool import Quarantine, Spool, orphans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

    from animal_classification.prediction_log.store import Refused

ROWS = 500  # in one transaction
INTERVAL = 0.5
RETRY = (0.5, 1.0, 2.0, 4.0)  # seconds between looks whether the database is back
LOOK_FOR_ORPHANS = 20.0
RETENTION_EVERY = HOURLY = 3600.0
FORGET_AGAIN = 60.0
FORGOTTEN_AT_ONCE = 20_000  # predictions, so that new ones do not wait until all old ones are gone
PATIENCE = 5.0  # seconds for which questions wait until somebody else has opened the database


class Counts(Protocol):
    """Who wants to know what became of rows."""

    def log_rows(self, what: str, count: int) -> None:
        """So many rows were ``written``, ``dropped``, ``refused`` (and set aside) or ``damaged``."""
        ...

    def log_waiting(self, size: int) -> None:
        """So many bytes wait on disk, those of other processes too."""
        ...


class NoCounts:
    """Nobody."""

    def log_rows(self, what: str, count: int) -> None:
        """Forget it."""

    def log_waiting(self, size: int) -> None:
        """Forget it."""


class PredictionLog:
    """Keeps predictions; made once in a process.

    Args:
        place: Where.
        counts: Told what becomes of rows.
        interval: Seconds between two batches.
        hourly: Given the database once an hour, where there is one; it may fail.

    Raises:
        UsageError: The URL is for no database that the log can be in.
        OutputError: The folder cannot be written.
    """

    def __init__(
        self,
        place: LogLocation,
        counts: Counts | None = None,
        *,
        interval: float = INTERVAL,
        hourly: Callable[[Engine], None] | None = None,
    ) -> None:
        self.place = place
        self._url = place.database
        if place.url:
            connect(self._url).dispose()  # what it cannot be is told of at the start
        self._counts = counts or NoCounts()
        self._interval = interval
        self._hourly, self._hourly_at = hourly, 0.0
        self._spool = Spool(place.spool, place.spool_bytes)
        self._quarantine = Quarantine(place.refused, place.spool_bytes)
        self._aside: set[str] = set()
        self._engine: Engine | None = None
        self._opening = threading.Lock()
        self._wake = threading.Event()
        self._turned = threading.Condition()
        self._turns = self._wanted_turns = 0
        self._closing = False
        self._dropped = 0
        self._failures = 0
        self._retry_at = 0.0
        self._look_at = 0.0
        self._files_at = self._retention_at = 0.0  # at once: a process may not live for an hour
        self._forgets = True
        self._thread = threading.Thread(target=self._run, name="animals-predictions", daemon=True)
        self._thread.start()

    def write(self, record: PredictionRecord) -> None:
        """Keep a prediction; from any thread, in microseconds. It survives the end of this process from here on."""
        if not self._spool.append(record.to_line()):
            self._dropped += 1

    def database(self) -> Engine:
        """The database with its tables, to be used beside the event loop.

        Raises:
            LogDatabaseError: It cannot be used now.
        """
        from animal_classification.prediction_log.migrate import migrate

        if not self._opening.acquire(timeout=PATIENCE):
            busy = "the database of the prediction log is being opened, or migrated"
            raise LogDatabaseError(busy, busy)
        try:
            if self._engine is None:
                engine = connect(self._url)
                try:
                    migrate(engine)
                except BaseException:
                    engine.dispose()
                    raise
                self._engine = engine
            return self._engine
        finally:
            self._opening.release()

    def flush(self, timeout: float = 2.0) -> None:
        """Let the thread have a turn now, and wait until it is through with all that was written before."""
        with self._turned:
            # The turn that is under way may have looked before; the one after it has not.
            wanted = self._wanted_turns = self._turns + 2
            self._wake.set()
            self._turned.wait_for(lambda: self._turns >= wanted or self._closing, timeout)

    def close(self, timeout: float = 3.0) -> None:
        """Write what waits; what is not written in ``timeout`` seconds waits on disk for the next process."""
        self._closing = True
        self._wake.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            self._wake.wait(self._interval)
            self._wake.clear()
            closing = self._closing
            try:
                self._turn()
            except LogDatabaseError as error:
                self._on_down(error)
            except Exception:  # a bug must not end the log
                logging.getLogger(__name__).exception("the prediction log failed at a batch; it goes on")
                self._retry_at = time.monotonic() + RETRY[-1]
            with suppress(OSError):
                self._spool.look()
            self._counts.log_waiting(self._spool.all_bytes)
            with self._turned:
                self._turns += 1
                if self._turns < self._wanted_turns:
                    self._wake.set()
                self._turned.notify_all()
            if closing:
                break
        self._spool.close()
        if self._engine is not None:
            self._engine.dispose()

    def _turn(self) -> None:
        self._tell()
        now = time.monotonic()
        if now >= self._files_at and self.place.days:
            self._files_at = now + RETENTION_EVERY
            self._forget_files()
        if now < self._retry_at and not self._closing:
            self._spool.sync()
            return
        if now >= self._look_at:
            self._take_over()
            self._look_at = now + LOOK_FOR_ORPHANS
        if self._spool.waiting_bytes:
            self._drain()
        if self._failures:  # each of these has asked the database: what failed is tried again first
            logging.getLogger(__name__).warning("the prediction log's database is back; what waited is written")
            self._failures = 0
        if now >= self._retention_at:
            self._retention_at = now + self._pause_after_forgetting()
        if self._hourly is not None and now >= self._hourly_at and is_there(self._url):
            self._hourly_at = now + HOURLY
            self._hourly(self.database())

    def _pause_after_forgetting(self) -> float:
        """Delete what is too old; returns after how many seconds that is due again."""
        try:
            done = self._forget()
        except LogDatabaseError as error:  # a right that is missing, a lock: no reason not to write
            if self._forgets:
                logging.getLogger(__name__).warning("old predictions cannot be deleted: %s", error)
            self._forgets = False
            return FORGET_AGAIN
        self._forgets = True
        return RETENTION_EVERY if done else 0.0

    def _forget_files(self) -> None:
        """Delete what is too old and not in the database, which may be gone for as long."""
        self._quarantine.forget_older(self.place.days)
        files = self._spool.forget_older(self.place.days)
        if files:
            logging.getLogger(__name__).warning(
                "%d files of predictions waited for longer than they may be kept, and are deleted", files
            )

    def _forget(self) -> bool:
        """Delete what is too old in the database; returns whether that is all."""
        from animal_classification.prediction_log.store import delete_older, forget_fine_sums

        if not is_there(self._url):  # where nothing was ever kept, nothing is made
            return True
        forget_fine_sums(self.database())
        if not self.place.days:
            return True
        keep = self.place.keep_corrections
        deleted = delete_older(self.database(), self.place.days, most=FORGOTTEN_AT_ONCE, keep_corrections=keep)
        return deleted < FORGOTTEN_AT_ONCE

    def _take_over(self) -> None:
        """Write what dead processes left."""
        for files in orphans(self.place.spool, self._spool.name):
            for segment in files:
                self._ship(segment, segment.unlink)

    def _drain(self) -> None:
        self.database()  # while it is gone, one file goes on growing
        for segment in self._spool.rotate():
            self._ship(segment, partial(self._spool.remove, segment))

    def _ship(self, segment: Path, remove: Callable[[], None]) -> None:
        """Write a file's rows to the database. A file that cannot be read, or deleted, does not hold up the others."""
        from animal_classification.prediction_log.store import insert

        try:
            for records, damaged in batches(segment, ROWS):
                refused = insert(self.database(), records, bursts_once=True)
                self._count("damaged", damaged)
                self._count("written", len(records) - len(refused))
                for row in refused:
                    self._set_aside(row)
            remove()
            self._aside.clear()
        except OSError as error:
            logging.getLogger(__name__).error("%s cannot be read or deleted: %s; it is tried again", segment, error)

    def _set_aside(self, row: Refused) -> None:
        if row.record.id in self._aside:  # the database went away in the middle of this file
            return
        self._aside.add(row.record.id)
        place = self._quarantine.keep(row.record.to_line())
        self._count("refused" if place else "dropped", 1)
        logging.getLogger(__name__).error(
            "the database does not take the prediction %s: %s; %s",
            row.record.id,
            row.reason,
            f"it is set aside in {place}" if place else f"it is lost, because {self._quarantine.root} is full",
        )

    def _on_down(self, error: LogDatabaseError) -> None:
        if not self._failures:
            logging.getLogger(__name__).warning("%s; predictions wait in %s", error, self.place.spool)
        self._retry_at = time.monotonic() + RETRY[min(self._failures, len(RETRY) - 1)]
        self._failures += 1
        with self._opening:
            engine, self._engine = self._engine, None  # what comes back may be another one, without tables
        if engine is not None:
            engine.dispose()
        with suppress(OSError):
            self._spool.sync()

    def _tell(self) -> None:
        dropped, self._dropped = self._dropped, 0
        self._count("dropped", dropped)
        if dropped:
            logging.getLogger(__name__).error(
                "%d predictions are not in the log: %s is full, or cannot be written", dropped, self.place.spool
            )

    def _count(self, what: str, count: int) -> None:
        if count:
            self._counts.log_rows(what, count)


def batches(segment: Path, size: int) -> Iterator[tuple[list[PredictionRecord], int]]:
    """The rows of a file in their order, at most ``size`` at a time, and how many lines among them are damaged."""
    records: list[PredictionRecord] = []
    damaged = 0
    with segment.open("rb") as file:
        for line in file:
            if line.isspace():  # a row that was deleted from the file
                continue
            record = PredictionRecord.from_line(line)
            if record is None:
                damaged += 1
            else:
                records.append(record)
            if len(records) >= size:
                yield records, damaged
                records, damaged = [], 0
    if records or damaged:
        yield records, damaged
