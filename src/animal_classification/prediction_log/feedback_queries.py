"""The SQL behind ``feedback``; each function runs in the transaction of its caller."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Subquery, func, insert, or_, select, tuple_, update

from animal_classification.prediction_log.sum_updates import photos_in_all
from animal_classification.prediction_log.tables import feedback, predictions


def insert_feedback(connection: Connection, values: Mapping[str, Any]) -> int:
    """Insert a row; returns its number."""
    return int(connection.execute(insert(feedback).values(**values).returning(feedback.c.number)).scalar_one())


def undo_feedback(connection: Connection, number: int, who: str | None) -> dict[str, Any] | None:
    """Mark a row as taken back, if it is ``who``'s (``None``: anybody's); returns it as it is now."""
    statement = update(feedback).where(feedback.c.number == number, feedback.c.undone.is_(None))
    if who is not None:
        statement = statement.where(feedback.c.who == who)
    connection.execute(statement.values(undone=datetime.now(UTC)))
    row = connection.execute(select(feedback).where(feedback.c.number == number)).mappings().first()
    return None if row is None else dict(row)


def find_prediction(connection: Connection, identity: str) -> dict[str, Any] | None:
    """One prediction with the feedback that stands."""
    row = connection.execute(_with_feedback().where(predictions.c.id == identity)).mappings().first()
    return None if row is None else _as_object(row)


def new_label_names(connection: Connection) -> list[str]:
    """Corrections that name no label of the model, each once."""
    given = select(feedback.c.label).where(
        feedback.c.verdict == "corrected", feedback.c.label_id.is_(None), feedback.c.undone.is_(None)
    )
    return list(connection.execute(given.distinct()).scalars())


def open_predictions(
    connection: Connection, limit: int, after: str | None, leave_out: Collection[str]
) -> list[dict[str, Any]]:
    """The last prediction of each photo without feedback: those of the audit first, then the most doubtful."""
    open_ = select(predictions).where(~has_feedback(), ~seen_again())
    if leave_out:
        open_ = open_.where(predictions.c.photo.not_in(leave_out))
    last = None if after is None else _place_of(connection, after)
    found: list[dict[str, Any]] = []
    if after is not None and last is None:
        return found
    if last is None or last.audited:
        # By hash: what is seen first must not depend on what it shows.
        audited = open_.where(_of_the_audit())
        if last is not None:
            audited = audited.where(predictions.c.photo > last.photo)
        found = _entries(connection, audited.order_by(predictions.c.photo).limit(limit), audited=True)
    if len(found) < limit:
        doubtful = open_.where(~_of_the_audit())
        if last is not None and not last.audited:
            doubtful = doubtful.where(tuple_(predictions.c.doubt, predictions.c.id) < tuple_(last.doubt, last.id))
        doubtful = doubtful.order_by(predictions.c.doubt.desc(), predictions.c.id.desc()).limit(limit - len(found))
        found += _entries(connection, doubtful, audited=False)
    return found


def _place_of(connection: Connection, identity: str) -> Any:
    """Where a prediction is in the order of the review; ``None`` where it is gone."""
    columns = (predictions.c.id, predictions.c.photo, predictions.c.doubt)
    place = select(*columns, _of_the_audit().label("audited")).where(predictions.c.id == identity)
    return connection.execute(place).first()


def _entries(connection: Connection, statement: Any, *, audited: bool) -> list[dict[str, Any]]:
    rows = connection.execute(statement).mappings()
    return [dict(row) | {"feedback": None, "audited": audited} for row in rows]


def _of_the_audit() -> ColumnElement[bool]:
    """This photo was chosen for the audit, on whichever of its predictions; these are few, and have an index."""
    chosen = predictions.alias("chosen")
    return predictions.c.photo.in_(select(chosen.c.photo).where(chosen.c.audited.is_(True)))


def reviewed_predictions(
    connection: Connection, limit: int | None = None, after: str | None = None
) -> list[dict[str, Any]]:
    """Predictions with feedback, the latest feedback first; all of them by default."""
    statement = _with_feedback(inner=True)
    if after is not None:
        last = latest_feedback()
        number = select(last.c.number).where(last.c.prediction == after).scalar_subquery()
        statement = statement.where(feedback.c.number < number)
    rows = connection.execute(statement.order_by(feedback.c.number.desc()).limit(limit)).mappings()
    return [_as_object(row) for row in rows]


def has_feedback() -> ColumnElement[bool]:
    """The photo of a row of predictions has feedback, on whichever of its predictions.

    The query starts from the feedback, which is little: a photo may have come a hundred thousand times.
    """
    same = predictions.alias("same")
    joined = same.join(feedback, feedback.c.prediction == same.c.id)
    return predictions.c.photo.in_(select(same.c.photo).select_from(joined).where(feedback.c.undone.is_(None)))


def seen_again() -> ColumnElement[bool]:
    """There is a later prediction of the same photo, which is reviewed instead."""
    later = predictions.alias("later")
    after = or_(later.c.time > predictions.c.time, later.c.id > predictions.c.id)
    again = select(later.c.id).where(later.c.photo == predictions.c.photo, later.c.time >= predictions.c.time, after)
    return again.correlate(predictions).exists()


def reviewed_photos(connection: Connection, photos: Collection[str]) -> set[str]:
    """Those of these photos that have feedback, on whichever of their predictions."""
    joined = feedback.join(predictions, predictions.c.id == feedback.c.prediction)
    said = select(predictions.c.photo).select_from(joined).where(feedback.c.undone.is_(None))
    return set(photos) & set(connection.execute(said.distinct()).scalars())


def audited_photos(connection: Connection, photos: Collection[str], since: datetime) -> set[str]:
    """Those of these photos that were chosen for the audit since then."""
    chosen = select(predictions.c.photo).where(predictions.c.audited.is_(True), predictions.c.time >= since)
    return set(photos) & set(connection.execute(chosen.distinct()).scalars())


def count_reviewed(connection: Connection) -> int:
    """How many predictions have feedback."""
    said = select(func.count(func.distinct(feedback.c.prediction))).where(feedback.c.undone.is_(None))
    return int(connection.execute(said).scalar_one())


def count_open(connection: Connection, leave_out: Collection[str]) -> int:
    """Photos minus those that need no review; no query reads all predictions."""
    joined = feedback.join(predictions, predictions.c.id == feedback.c.prediction)
    said = select(predictions.c.photo).select_from(joined).where(feedback.c.undone.is_(None))
    settled = said.union(select(predictions.c.photo).where(predictions.c.photo.in_(leave_out))).subquery()
    return photos_in_all(connection) - int(connection.execute(select(func.count()).select_from(settled)).scalar_one())


def latest_feedback() -> Subquery:
    """For each prediction the number of its feedback."""
    number = func.max(feedback.c.number).label("number")
    query = select(feedback.c.prediction, number).where(feedback.c.undone.is_(None)).group_by(feedback.c.prediction)
    return query.subquery("standing")


def _with_feedback(*, inner: bool = False) -> Any:
    """Predictions, each with its feedback."""
    last = latest_feedback()
    said = [column.label(f"said_{column.name}") for column in feedback.c if column.name != "prediction"]
    joined = predictions.join(last, last.c.prediction == predictions.c.id, isouter=not inner).join(
        feedback, feedback.c.number == last.c.number, isouter=not inner
    )
    return select(*predictions.c, *said).select_from(joined)


def _as_object(row: RowMapping) -> dict[str, Any]:
    """A row of :func:`_with_feedback`, with the feedback under ``feedback``."""
    values = {name: value for name, value in row.items() if not name.startswith("said_")}
    said = {name.removeprefix("said_"): value for name, value in row.items() if name.startswith("said_")}
    return values | {"feedback": said if said["number"] is not None else None}
