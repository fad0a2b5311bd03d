"""Deletes everything that a server kept: predictions, sums, feedback, photos, and rows that wait or were refused."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Engine, func, select

from animal_classification.prediction_log import sum_updates
from animal_classification.prediction_log.database import connect, is_there, reading, writing
from animal_classification.prediction_log.database_errors import translated_errors
from animal_classification.prediction_log.location import LogLocation
from animal_classification.prediction_log.migrate import migrate
from animal_classification.prediction_log.photo_store import PhotoStore
from animal_classification.prediction_log.spool import orphans, waiting
from animal_classification.prediction_log.tables import feedback, metadata, predictions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """What is kept.

    Attributes:
        predictions: Rows.
        words: That people said, also those that were taken back.
        photos: Files.
        photo_bytes: Of all of them.
        waiting: Files of rows that wait for the database.
        refused: Files of rows that the database refused.
    """

    predictions: int = 0
    words: int = 0
    photos: int = 0
    photo_bytes: int = 0
    waiting: int = 0
    refused: int = 0

    def __bool__(self) -> bool:
        return any((self.predictions, self.words, self.photos, self.waiting, self.refused))


def count_kept(place: LogLocation, engine: Engine | None, photos: PhotoStore) -> Kept:
    """Count what is kept.

    Args:
        place: Where the log is.
        engine: The database, with its tables; ``None`` where it is not there.
        photos: Where photos are.

    Raises:
        LogDatabaseError: The database, or the place of the photos, cannot be reached.
    """
    predictions, words = _count(engine) if engine is not None else (0, 0)
    count, size = photos.kept()
    return Kept(
        predictions=predictions,
        words=words,
        photos=count,
        photo_bytes=size,
        waiting=waiting(place.spool).files,
        refused=len(list(_refused(place))),
    )


def clear(place: LogLocation, engine: Engine | None, photos: PhotoStore) -> Kept:
    """Delete it; returns what is left, which only a running server still holds.

    Raises:
        LogDatabaseError: The database, or the place of the photos, cannot be used now.
    """
    for files in orphans(place.spool, ""):
        _delete(files)
    if engine is not None:
        _delete_rows(engine)
    _delete(_refused(place))
    photos.sweep(most_bytes=-1, days=0)
    return count_kept(place, engine, photos)


def database_of(place: LogLocation) -> Engine | None:
    """The log's database with its tables; ``None`` where SQLite's file is not there."""
    if not is_there(place.database):
        return None
    engine = connect(place.database, make=False)
    migrate(engine)
    return engine


def _count(engine: Engine) -> tuple[int, int]:

    with translated_errors(engine.url, rows=False), reading(engine) as connection:
        counts = [
            int(connection.execute(select(func.count()).select_from(table)).scalar_one())
            for table in (predictions, feedback)
        ]
    return counts[0], counts[1]


def _delete_rows(engine: Engine) -> None:

    with translated_errors(engine.url, rows=False):
        with writing(engine, patient=True) as connection:
            sum_updates.lock(connection)
            for table in reversed(metadata.sorted_tables):
                connection.execute(table.delete())
        if engine.dialect.name == "sqlite":  # else the rows would still be readable in the file
            _vacuum(engine)


def _vacuum(engine: Engine) -> None:
    connection = engine.raw_connection()
    try:
        connection.rollback()
        cursor = connection.cursor()
        cursor.execute("VACUUM")
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        cursor.close()
    finally:
        connection.close()


def _refused(place: LogLocation) -> Iterator[Path]:
    yield from place.refused.glob("*.rows")


def _delete(files: Iterator[Path] | list[Path]) -> None:
    for path in files:
        with suppress(OSError):
            path.unlink()
