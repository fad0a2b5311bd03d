"""Writing predictions and deleting old ones; the sums change with them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, delete, func, select

from animal_classification.prediction_log import sum_updates
from animal_classification.prediction_log.database import insert_or, writing
from animal_classification.prediction_log.database_errors import (
    LogDatabaseError,
    about_the_database,
    line,
    translated_errors,
    unusable,
)
from animal_classification.prediction_log.period_sums import COUNTED
from animal_classification.prediction_log.record import PredictionRecord
from animal_classification.prediction_log.shared_scenes import scenes_once
from animal_classification.prediction_log.tables import embeddings, feedback, predictions, requests

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from typing import Any


DELETED_AT_ONCE = 2000  # so that nobody waits long for the table
_COLUMNS = tuple(predictions.c[name] for name in ("id", *COUNTED))


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that the database does not take, and what it says of it."""

    record: PredictionRecord
    reason: str


def insert(engine: Engine, records: Sequence[PredictionRecord], *, bursts_once: bool = False) -> list[Refused]:
    """Write predictions; those that are there already stay as they are. Returns those that the database refuses.

    Args:
        engine: The database.
        records: The predictions.
        bursts_once: A frame of a scene that another process has written counts no more for the audit.

    Raises:
        LogDatabaseError: The database cannot be used now. Some may be written; writing them again changes nothing.
    """
    if not records:
        return []
    try:
        with writing(engine) as connection:
            _insert(connection, records, bursts_once)
    except LogDatabaseError:
        raise
    except Exception as error:  # whatever it is, one row must not hold up the others for ever
        if about_the_database(error):
            raise unusable(engine.url, error) from error
        if len(records) == 1:
            return [Refused(records[0], line(error))]
        return [refused for record in records for refused in insert(engine, [record], bursts_once=bursts_once)]
    return []


def _insert(connection: Connection, records: Sequence[PredictionRecord], bursts_once: bool) -> None:
    sum_updates.lock(connection)
    wanted: dict[str, PredictionRecord] = {}
    for record in records:
        wanted.setdefault(record.id, record)
    there = select(predictions.c.id).where(predictions.c.id.in_(list(wanted)))
    known = set(connection.execute(there).scalars())
    new = [record for record in wanted.values() if record.id not in known]
    if not new:
        return
    if bursts_once:
        new = scenes_once(connection, new)
    rows = [record.to_row() for record in new]
    photos = {record.photo for record in new}
    before = sum_updates.last_seen(connection, photos)
    connection.execute(insert_or(connection, predictions), rows)
    vectors = [{"prediction": record.id, "embedding": record.embedding} for record in new if record.embedding]
    if vectors:
        connection.execute(insert_or(connection, embeddings), vectors)
    sum_updates.count(connection, added=rows, seen=(before, sum_updates.last_seen(connection, photos)))


def delete_older(
    engine: Engine, days: float, now: datetime | None = None, *, most: float = inf, keep_corrections: bool = True
) -> int:
    """Delete predictions that are older, and what was said of them, the oldest first; returns how many.

    Args:
        engine: The database.
        days: How old they may become.
        now: The time; the clock's by default.
        most: Stop after about so many.
        keep_corrections: Those with feedback that is not undone stay, whatever their age.

    Raises:
        LogDatabaseError: The database cannot be used now.
    """
    limit = (now or datetime.now(UTC)) - timedelta(days=days)
    deleted = 0
    with translated_errors(engine.url, rows=False):
        while True:
            with writing(engine) as connection:
                count = _delete_some(connection, limit, keep_corrections)
            deleted += count
            if count < DELETED_AT_ONCE or deleted >= most:
                return deleted


def forget_fine_sums(engine: Engine) -> None:
    """Delete sums that are finer than anybody asks for at their age.

    Raises:
        LogDatabaseError: The database cannot be used now.
    """
    with translated_errors(engine.url, rows=False), writing(engine) as connection:
        sum_updates.forget_fine(connection, time.time())


def delete_photos(engine: Engine, photos: Collection[str]) -> tuple[int, int]:
    """Delete all predictions of these photos, with their embeddings and feedback; returns how many rows of both.

    Args:
        engine: The database.
        photos: SHA-256 of each, in hex.

    Raises:
        LogDatabaseError: The database cannot be used now. Some may be deleted; doing it again goes on.
    """
    deleted = words = 0
    with translated_errors(engine.url, rows=False):
        with writing(engine) as connection:
            connection.execute(delete(requests).where(requests.c.photo.in_(photos)))
        while True:
            with writing(engine) as connection:
                count, said = _delete_some_of(connection, photos)
            deleted, words = deleted + count, words + said
            if count < DELETED_AT_ONCE:
                return deleted, words


def clean_file(engine: Engine) -> None:
    """Let nothing of deleted rows stay in SQLite's write-ahead log, as far as nobody reads it at the moment."""
    if engine.dialect.name != "sqlite":
        return
    connection = engine.raw_connection()
    try:
        connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()


def _delete_some(connection: Connection, limit: datetime, keep_corrections: bool) -> int:

    sum_updates.lock(connection)
    old = select(*_COLUMNS).where(predictions.c.time < limit).order_by(predictions.c.time).limit(DELETED_AT_ONCE)
    if keep_corrections:
        said = select(feedback.c.number).where(feedback.c.prediction == predictions.c.id, feedback.c.undone.is_(None))
        old = old.where(~said.exists())
    # A row on which somebody is just saying something has its turn next time.
    rows: Sequence[Mapping[Any, Any]] = connection.execute(old.with_for_update(skip_locked=True)).mappings().all()
    older: Sequence[Mapping[Any, Any]] = ()
    if keep_corrections:
        # Somebody may have said something before the rows were locked, and after they were looked for.
        standing = _standing(connection, rows)
        rows = [row for row in rows if row["id"] not in standing]
        older = _corrections_before(connection, limit) if rows else ()
    if rows:
        seen = _delete_rows(connection, rows)
        sum_updates.count(connection, removed=rows, seen=seen, nothing_before=limit.timestamp(), older=older)
    return len(rows)


def _delete_some_of(connection: Connection, photos: Collection[str]) -> tuple[int, int]:
    """Delete predictions of these photos; returns how many, and how much feedback on them."""
    sum_updates.lock(connection)
    if connection.dialect.name == "sqlite":  # else the rows would still be readable in the file
        connection.exec_driver_sql("PRAGMA secure_delete=ON")
    found = select(*_COLUMNS).where(predictions.c.photo.in_(photos)).limit(DELETED_AT_ONCE).with_for_update()
    rows: Sequence[Mapping[Any, Any]] = connection.execute(found).mappings().all()
    if not rows:
        return 0, 0
    said = select(func.count()).where(feedback.c.prediction.in_([row["id"] for row in rows]))
    words = int(connection.execute(said).scalar_one())
    sum_updates.count(connection, removed=rows, seen=_delete_rows(connection, rows))
    sum_updates.correct_uses(connection, rows)
    return len(rows), words


def _delete_rows(
    connection: Connection, rows: Sequence[Mapping[Any, Any]]
) -> tuple[sum_updates.Moments, sum_updates.Moments]:
    """Delete predictions; returns when their photos were last seen before and after."""
    photos = {row["photo"] for row in rows}
    before = sum_updates.last_seen(connection, photos)
    connection.execute(delete(predictions).where(predictions.c.id.in_([row["id"] for row in rows])))
    return before, sum_updates.last_seen(connection, photos)


def _standing(connection: Connection, rows: Sequence[Mapping[Any, Any]]) -> set[str]:
    """Those of these predictions that have feedback."""
    found = select(feedback.c.prediction).where(
        feedback.c.prediction.in_([row["id"] for row in rows]), feedback.c.undone.is_(None)
    )
    return set(connection.execute(found).scalars())


def _corrections_before(connection: Connection, limit: datetime) -> Sequence[Mapping[Any, Any]]:
    """Predictions with feedback that stay although they are older; the query starts from the feedback."""
    said = select(feedback.c.prediction).where(feedback.c.undone.is_(None))
    columns = (predictions.c.time, predictions.c.model, predictions.c.version)
    return (
        connection.execute(select(*columns).where(predictions.c.id.in_(said), predictions.c.time < limit))
        .mappings()
        .all()
    )
