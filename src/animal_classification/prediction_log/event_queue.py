"""The review by event: photos without feedback, camera by camera, in the order in which they were taken."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Select, select, tuple_

from animal_classification.prediction_log.database import reading
from animal_classification.prediction_log.database_errors import translated_errors
from animal_classification.prediction_log.feedback_queries import count_open, has_feedback, seen_again
from animal_classification.prediction_log.record import storable
from animal_classification.prediction_log.review_queue import is_disputed
from animal_classification.prediction_log.tables import predictions

_ORDER = (predictions.c.source, predictions.c.taken, predictions.c.id)


@dataclass(frozen=True, slots=True)
class EventPart:
    """A page of this review.

    Attributes:
        rows: The last prediction of each photo.
        before: ``source`` and ``taken`` of the row before the first of them; ``None`` at the beginning.
        total: Photos without feedback, also those that do not say when they were taken and are in no row.
    """

    rows: list[dict[str, Any]]
    before: dict[str, Any] | None
    total: int


def to_review_by_event(
    engine: Engine,
    *,
    limit: int = 20,
    after: str | None = None,
    leave_out: Collection[str] = (),
    shadows: Sequence[tuple[str, str]] = (),
) -> EventPart:
    """Predictions to review, by ``source`` and ``taken``.

    Args:
        engine: The database.
        limit: How many.
        after: Id of the last one of the page before.
        leave_out: Photos (SHA-256) that need no review.
        shadows: Name of a model, and version of its shadow: photos on which they differ are reviewed blind, elsewhere.

    Raises:
        LogDatabaseError: The database cannot be used now.
    """
    with translated_errors(engine.url, rows=False), reading(engine) as connection:
        total = count_open(connection, leave_out)
        before = None if after is None else _place_of(connection, after)
        if after is not None and before is None:
            return EventPart([], None, total)
        statement = _open(before, leave_out).where(~is_disputed(shadows)) if shadows else _open(before, leave_out)
        rows = connection.execute(statement.order_by(*_ORDER).limit(limit)).mappings()
        return EventPart([dict(row) | {"feedback": None} for row in rows], before, total)


def _place_of(connection: Connection, identity: str) -> dict[str, Any] | None:
    """Where a prediction is in the order; ``None`` where it is gone, or has no time."""
    known = storable(identity).encode("ascii", "replace").decode("ascii")
    place = select(*_ORDER).where(predictions.c.id == known, predictions.c.taken.is_not(None))
    row = connection.execute(place).mappings().first()
    return None if row is None else dict(row)


def _open(before: dict[str, Any] | None, leave_out: Collection[str]) -> Select[Any]:
    """Rows that are to be reviewed, after one."""
    statement = select(predictions).where(predictions.c.taken.is_not(None), ~has_feedback(), ~seen_again())
    if leave_out:
        statement = statement.where(predictions.c.photo.not_in(leave_out))
    if before is not None:
        statement = statement.where(tuple_(*_ORDER) > tuple_(*(before[column.name] for column in _ORDER)))
    return statement
