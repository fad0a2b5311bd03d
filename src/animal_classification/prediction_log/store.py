"""Writing predictions and deleting old ones; the sums change with them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, delete, select

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
from animal_classification.prediction_log.tables import embeddings, predictions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


DELETED_AT_ONCE = 2000  # so that nobody waits long for the table


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that the database does not take, and what it says of it."""

    record: PredictionRecord
    reason: str


def insert(engine: Engine, records: Sequence[PredictionRecord]) -> list[Refused]:
    """Write predictions; those that are there already stay as they are. Returns those that the database refuses.

    Raises:
        LogDatabaseError: The database cannot be used now. Some may be written; writing them again changes nothing.
    """
    if not records:
        return []
    try:
        with writing(engine) as connection:
            _insert(connection, records)
    except LogDatabaseError:
        raise
    except Exception as error:  # whatever it is, one row must not hold up the others for ever
        if about_the_database(error):
            raise unusable(engine.url, error) from error
        if len(records) == 1:
            return [Refused(records[0], line(error))]
        return [refused for record in records for refused in insert(engine, [record])]
    return []


def _insert(connection: Connection, records: Sequence[PredictionRecord]) -> None:

    sum_updates.lock(connection)
    wanted: dict[str, PredictionRecord] = {}
    for record in records:
        wanted.setdefault(record.id, record)
    there = select(predictions.c.id).where(predictions.c.id.in_(list(wanted)))
    known = set(connection.execute(there).scalars())
    new = [record for record in wanted.values() if record.id not in known]
    if not new:
        return
    rows = [record.to_row() for record in new]
    photos = {record.photo for record in new}
    before = sum_updates.last_seen(connection, photos)
    connection.execute(insert_or(connection, predictions), rows)
    vectors = [{"prediction": record.id, "embedding": record.embedding} for record in new if record.embedding]
    if vectors:
        connection.execute(insert_or(connection, embeddings), vectors)
    sum_updates.count(connection, added=rows, seen=(before, sum_updates.last_seen(connection, photos)))


def delete_older(engine: Engine, days: float, now: datetime | None = None, *, most: float = inf) -> int:
    """Delete predictions that are older, and what was said of them, the oldest first; returns how many.

    Args:
        engine: The database.
        days: How old they may become.
        now: The time; the clock's by default.
        most: Stop after about so many.

    Raises:
        LogDatabaseError: The database cannot be used now.
    """
    limit = (now or datetime.now(UTC)) - timedelta(days=days)
    deleted = 0
    with translated_errors(engine.url, rows=False):
        while True:
            with writing(engine) as connection:
                count = _delete_some(connection, limit)
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


def _delete_some(connection: Connection, limit: datetime) -> int:

    sum_updates.lock(connection)
    columns = [predictions.c[name] for name in ("id", *COUNTED)]
    old = select(*columns).where(predictions.c.time < limit).order_by(predictions.c.time).limit(DELETED_AT_ONCE)
    # A row on which somebody is just saying something has its turn next time.
    rows: Sequence[Mapping[Any, Any]] = connection.execute(old.with_for_update(skip_locked=True)).mappings().all()
    if not rows:
        return 0
    photos = {row["photo"] for row in rows}
    before = sum_updates.last_seen(connection, photos)
    connection.execute(delete(predictions).where(predictions.c.id.in_([row["id"] for row in rows])))
    after = sum_updates.last_seen(connection, photos)
    sum_updates.count(connection, removed=rows, seen=(before, after), nothing_before=limit.timestamp())
    return len(rows)
