"""What people say of predictions: every word of it is kept, and the last one that is not taken back stands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from animal_classification.prediction_log.counting import predictions_in_all
from animal_classification.prediction_log.database import reading, writing
from animal_classification.prediction_log.records import storable
from animal_classification.prediction_log.refusals import troubles

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, RowMapping, Subquery

Verdict = Literal["confirmed", "corrected", "none"]
MAX_NOTE, MAX_WHO = 2000, 80


@dataclass(frozen=True, kw_only=True, slots=True)
class Feedback:
    """A person's word on one prediction.

    Attributes:
        prediction: Its id.
        verdict: ``confirmed``: it is right; ``corrected``: it shows ``label``; ``none``: it shows none of the labels.
        label: Name of the right label, where corrected.
        label_id: Its id.
        note: Anything; at most ``MAX_NOTE`` characters are kept.
        who: Whose word it is; at most ``MAX_WHO`` characters are kept.
    """

    prediction: str
    verdict: Verdict
    label: str | None = None
    label_id: str | None = None
    note: str | None = None
    who: str | None = None


def add(engine: Engine, feedback: Feedback) -> dict[str, Any] | None:
    """Keep a person's word; returns it as it is kept, or ``None`` where there is no such prediction.

    Raises:
        LogDatabaseError: The database cannot be used now.
        RefusedRowError: It has no code for a character of it.
    """
    from sqlalchemy import insert
    from sqlalchemy.exc import IntegrityError

    from animal_classification.prediction_log.tables import feedback as table

    values = {name: getattr(feedback, name) for name in Feedback.__slots__} | {"time": datetime.now(UTC)}
    values["note"] = feedback.note and storable(feedback.note, MAX_NOTE)
    values["who"] = feedback.who and storable(feedback.who, MAX_WHO)
    statement = insert(table).values(**values).returning(table.c.number)
    try:
        with troubles(engine.url), writing(engine) as connection:
            return {"number": connection.execute(statement).scalar_one(), **values}
    except IntegrityError:  # the foreign key, which both databases enforce: it may just have been deleted
        return None


def undo(engine: Engine, number: int, own: str | None = None) -> dict[str, Any] | None:
    """Take a word back; returns what it was, or ``None`` where there is none of that number.

    Args:
        engine: The database.
        number: Of the word.
        own: Whose word it has to be; anybody's by default. Another's stays, and comes back with ``undone`` empty.

    Raises:
        LogDatabaseError: The database cannot be used now.
    """
    from sqlalchemy import select, update

    from animal_classification.prediction_log.tables import feedback as table

    with troubles(engine.url, rows=False), writing(engine) as connection:
        statement = update(table).where(table.c.number == number, table.c.undone.is_(None))
        if own is not None:
            statement = statement.where(table.c.who == storable(own, MAX_WHO))
        connection.execute(statement.values(undone=datetime.now(UTC)))
        row = connection.execute(select(table).where(table.c.number == number)).mappings().first()
        return None if row is None else dict(row)


def prediction(engine: Engine, identity: str) -> dict[str, Any] | None:
    """One prediction with the word that stands; ``None`` where it is not in the database.

    Raises:
        LogDatabaseError: The database cannot be used now.
    """
    from animal_classification.prediction_log.tables import predictions

    with troubles(engine.url, rows=False), reading(engine) as connection:
        row = connection.execute(_reviewable().where(predictions.c.id == _id(identity))).mappings().first()
        return None if row is None else _shaped(row)


def to_review(
    engine: Engine, *, done: bool = False, limit: int = 20, after: str | None = None
) -> tuple[list[dict[str, Any]], int]:
    """A page of predictions, those that are most worth a look first, and how many there are in all.

    Args:
        engine: The database.
        done: Those on which a word stands, the latest word first; by default those on which none does.
        limit: How many.
        after: Id of the last one of the page before.

    Raises:
        LogDatabaseError: The database cannot be used now.
    """
    after = after and _id(after)
    with troubles(engine.url, rows=False), reading(engine) as connection:
        rows = _done(connection, limit, after) if done else _open(connection, limit, after)
        return rows, _count(connection, done=done)


def _id(identity: str) -> str:
    """An id as the database may be asked for it; ids are ASCII, and some databases would refuse what is not."""
    return storable(identity).encode("ascii", "replace").decode("ascii")


def _open(connection: Connection, limit: int, after: str | None) -> list[dict[str, Any]]:
    from sqlalchemy import select, tuple_

    from animal_classification.prediction_log.tables import feedback as table
    from animal_classification.prediction_log.tables import predictions

    said = select(table.c.number).where(table.c.prediction == predictions.c.id, table.c.undone.is_(None)).exists()
    statement = select(predictions).where(~said)
    if after is not None:
        doubt = select(predictions.c.doubt).where(predictions.c.id == after).scalar_subquery()
        statement = statement.where(tuple_(predictions.c.doubt, predictions.c.id) < tuple_(doubt, after))
    statement = statement.order_by(predictions.c.doubt.desc(), predictions.c.id.desc()).limit(limit)
    return [dict(row) | {"feedback": None} for row in connection.execute(statement).mappings()]


def _done(connection: Connection, limit: int, after: str | None) -> list[dict[str, Any]]:
    from sqlalchemy import select

    from animal_classification.prediction_log.tables import feedback as table

    statement = _reviewable(inner=True)
    if after is not None:
        last = standing_words()
        number = select(last.c.number).where(last.c.prediction == after).scalar_subquery()
        statement = statement.where(table.c.number < number)
    rows = connection.execute(statement.order_by(table.c.number.desc()).limit(limit)).mappings()
    return [_shaped(row) for row in rows]


def _count(connection: Connection, *, done: bool) -> int:
    from sqlalchemy import func, select

    from animal_classification.prediction_log.tables import feedback as table

    said = select(func.count(func.distinct(table.c.prediction))).where(table.c.undone.is_(None))
    with_a_word = int(connection.execute(said).scalar_one())
    if done:
        return with_a_word
    return predictions_in_all(connection) - with_a_word


def standing_words() -> Subquery:
    """For each prediction the number of the word that stands."""
    from sqlalchemy import func, select

    from animal_classification.prediction_log.tables import feedback as table

    number = func.max(table.c.number).label("number")
    query = select(table.c.prediction, number).where(table.c.undone.is_(None)).group_by(table.c.prediction)
    return query.subquery("standing")


def _reviewable(*, inner: bool = False) -> Any:
    """Predictions, each with the word that stands."""
    from sqlalchemy import select

    from animal_classification.prediction_log.tables import feedback as table
    from animal_classification.prediction_log.tables import predictions

    last = standing_words()
    said = [column.label(f"said_{column.name}") for column in table.c if column.name != "prediction"]
    joined = predictions.join(last, last.c.prediction == predictions.c.id, isouter=not inner).join(
        table, table.c.number == last.c.number, isouter=not inner
    )
    return select(*predictions.c, *said).select_from(joined)


def _shaped(row: RowMapping) -> dict[str, Any]:
    values = {name: value for name, value in row.items() if not name.startswith("said_")}
    said = {name.removeprefix("said_"): value for name, value in row.items() if name.startswith("said_")}
    return values | {"feedback": said if said["number"] is not None else None}
