"""What people say of predictions: every word of it is kept, and the last one that is not taken back stands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from animal_classification.prediction_log.database import reading, writing
from animal_classification.prediction_log.database_errors import troubles
from animal_classification.prediction_log.record import storable
from animal_classification.prediction_log.sum_updates import photos_in_all

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import ColumnElement, Connection, Engine, RowMapping, Subquery

Verdict = Literal["confirmed", "corrected", "none"]
MAX_NOTE, MAX_WHO, MAX_LABEL = 2000, 80, 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Feedback:
    """A person's word on one prediction.

    Attributes:
        prediction: Its id.
        verdict: ``confirmed``: the answer is right; ``corrected``: it shows ``label``; ``none``: it shows no animal.
        label: What the word says: the answer that was confirmed (a label, a group, "animal", …), the right name where
            corrected, "no animal". Empty in words of before, which confirmed the label, or said "none of the labels".
        label_id: Its id; empty where the model has no such label.
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
    values["label"] = feedback.label and storable(feedback.label, MAX_LABEL)
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
    engine: Engine,
    *,
    done: bool = False,
    limit: int = 20,
    after: str | None = None,
    leave_out: Collection[str] = (),
) -> tuple[list[dict[str, Any]], int]:
    """A page of predictions, those that are most worth a look first, and how many there are in all.

    Args:
        engine: The database.
        done: Those on which a word stands, the latest word first; by default the last prediction of each photo of which
            nobody has said anything.
        limit: How many.
        after: Id of the last one of the page before.
        leave_out: Photos (SHA-256) that nobody needs to look at.

    Raises:
        LogDatabaseError: The database cannot be used now.
    """
    after = after and _id(after)
    with troubles(engine.url, rows=False), reading(engine) as connection:
        if done:
            return _done(connection, limit, after), _count_done(connection)
        return _open(connection, limit, after, leave_out), _count_open(connection, leave_out)


def every_word(engine: Engine) -> list[dict[str, Any]]:
    """All predictions on which a word stands, the latest word first: as many as people had the time to say.

    Raises:
        LogDatabaseError: The database cannot be used now.
    """
    from animal_classification.prediction_log.tables import feedback as table

    with troubles(engine.url, rows=False), reading(engine) as connection:
        rows = connection.execute(_reviewable(inner=True).order_by(table.c.number.desc())).mappings()
        return [_shaped(row) for row in rows]


def names_given(engine: Engine) -> list[str]:
    """Names of animals that people gave and the model did not know, in the order of the alphabet.

    Raises:
        LogDatabaseError: The database cannot be used now.
    """
    from sqlalchemy import select

    from animal_classification.prediction_log.tables import feedback as table

    given = select(table.c.label).where(
        table.c.verdict == "corrected", table.c.label_id.is_(None), table.c.undone.is_(None)
    )
    with troubles(engine.url, rows=False), reading(engine) as connection:
        return sorted(connection.execute(given.distinct()).scalars(), key=str.casefold)


def _id(identity: str) -> str:
    """An id as the database may be asked for it; ids are ASCII, and some databases would refuse what is not."""
    return storable(identity).encode("ascii", "replace").decode("ascii")


def _open(connection: Connection, limit: int, after: str | None, leave_out: Collection[str]) -> list[dict[str, Any]]:
    from sqlalchemy import select, tuple_

    from animal_classification.prediction_log.tables import predictions

    statement = select(predictions).where(~_said_of_the_photo(), ~_seen_again())
    if leave_out:
        statement = statement.where(predictions.c.photo.not_in(leave_out))
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


def _said_of_the_photo() -> ColumnElement[bool]:
    """A word stands on this photo, whichever prediction of it somebody looked at.

    Asked of the words, which are few: a photo may have come a hundred thousand times.
    """
    from sqlalchemy import select

    from animal_classification.prediction_log.tables import feedback as table
    from animal_classification.prediction_log.tables import predictions

    same = predictions.alias("same")
    joined = same.join(table, table.c.prediction == same.c.id)
    return predictions.c.photo.in_(select(same.c.photo).select_from(joined).where(table.c.undone.is_(None)))


def _seen_again() -> ColumnElement[bool]:
    """There is a later prediction of this photo: that one is asked about."""
    from sqlalchemy import or_, select

    from animal_classification.prediction_log.tables import predictions

    later = predictions.alias("later")
    after = or_(later.c.time > predictions.c.time, later.c.id > predictions.c.id)
    again = select(later.c.id).where(later.c.photo == predictions.c.photo, later.c.time >= predictions.c.time, after)
    return again.correlate(predictions).exists()


def _count_done(connection: Connection) -> int:
    from sqlalchemy import func, select

    from animal_classification.prediction_log.tables import feedback as table

    said = select(func.count(func.distinct(table.c.prediction))).where(table.c.undone.is_(None))
    return int(connection.execute(said).scalar_one())


def _count_open(connection: Connection, leave_out: Collection[str]) -> int:
    """Photos less those of which nothing is to be said any more; none of them is counted by looking at all."""
    from sqlalchemy import func, select

    from animal_classification.prediction_log.tables import feedback as table
    from animal_classification.prediction_log.tables import predictions

    joined = table.join(predictions, predictions.c.id == table.c.prediction)
    said = select(predictions.c.photo).select_from(joined).where(table.c.undone.is_(None))
    settled = said.union(select(predictions.c.photo).where(predictions.c.photo.in_(leave_out))).subquery()
    return photos_in_all(connection) - int(connection.execute(select(func.count()).select_from(settled)).scalar_one())


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
