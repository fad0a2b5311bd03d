"""Writing predictions and deleting old ones."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from animal_classification.prediction_log.database import line, troubles, writing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine, Insert

    from animal_classification.prediction_log.records import Record

DELETED_AT_ONCE = 2000  # so that nobody waits long for the table


def insert(engine: Engine, records: Sequence[Record]) -> int:
    """Write predictions; those that are there already stay as they are. Returns how many the database refuses.

    Raises:
        LogDatabaseError: The database cannot be used now; none is written.
    """
    from sqlalchemy.exc import DataError, IntegrityError

    rows = [record.to_row() for record in records]
    if not rows:
        return 0
    with troubles(engine.url):
        statement = _insert_or_ignore(engine)
        try:
            with writing(engine) as connection:
                connection.execute(statement, rows)
        except (DataError, IntegrityError):
            return _one_by_one(engine, statement, rows)
    return 0


def _one_by_one(engine: Engine, statement: Insert, rows: Sequence[dict[str, Any]]) -> int:
    """One row that the database refuses must not hold up the others for ever."""
    from sqlalchemy.exc import DataError, IntegrityError

    refused = 0
    for row in rows:
        try:
            with writing(engine) as connection:
                connection.execute(statement, [row])
        except (DataError, IntegrityError) as error:
            refused += 1
            logging.getLogger(__name__).error("the prediction %s cannot be kept: %s", row["id"], line(error))
    return refused


def _insert_or_ignore(engine: Engine) -> Insert:
    from animal_classification.prediction_log.tables import predictions

    if engine.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as postgresql_insert

        return postgresql_insert(predictions).on_conflict_do_nothing(index_elements=["id"])
    from sqlalchemy.dialects.sqlite import insert as sqlite_insert

    return sqlite_insert(predictions).on_conflict_do_nothing(index_elements=["id"])


def delete_older(engine: Engine, days: float, now: datetime | None = None) -> int:
    """Delete predictions that are older, and what was said of them; returns how many.

    Raises:
        LogDatabaseError: The database cannot be used now.
    """
    from sqlalchemy import delete, select

    from animal_classification.prediction_log.tables import predictions

    limit = (now or datetime.now(UTC)) - timedelta(days=days)
    old = select(predictions.c.id).where(predictions.c.time < limit).limit(DELETED_AT_ONCE)
    old = old.with_for_update(skip_locked=True)  # several workers do it at about the same time
    deleted = 0
    with troubles(engine.url):
        while True:
            with writing(engine) as connection:
                count = connection.execute(delete(predictions).where(predictions.c.id.in_(old))).rowcount
            deleted += count
            if count < DELETED_AT_ONCE:
                return deleted
