"""What a candidate said of photos that another model answered: kept, and compared with what people say."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, and_, case, func, or_, select

from animal_classification.prediction_log.database import insert_or, reading, writing
from animal_classification.prediction_log.database_errors import translated_errors
from animal_classification.prediction_log.tables import feedback, predictions, shadow

if TYPE_CHECKING:
    from sqlalchemy import Engine

_AT_ONCE = 200  # rows that are read at once


@dataclass(frozen=True, kw_only=True, slots=True)
class ShadowRow:
    """A candidate's answer.

    Attributes:
        prediction: Id of the prediction that the other model made.
        model: Name under which the other model answers.
        version: Of the candidate.
        label_id: Of its label.
        probability: Of that label.
        unknown: It calls the photo unknown.
    """

    prediction: str
    model: str
    version: str
    label_id: str
    probability: float
    unknown: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Disagreement:
    """A photo of which two models say different things.

    Attributes:
        prediction: Id of the answer that was given.
        photo: SHA-256 of the photo.
        given: Id of the label that was answered; ``None`` for unknown.
        shadow: Id of the candidate's label; ``None`` for unknown.
    """

    prediction: str
    photo: str
    given: str | None
    shadow: str | None


def keep(engine: Engine, rows: Sequence[ShadowRow]) -> set[str]:
    """Keep rows whose predictions are in the database; returns the predictions that are not.

    Raises:
        LogDatabaseError: The database cannot be used now.
    """
    with translated_errors(engine.url), writing(engine) as connection:
        there = set(
            connection.execute(
                select(predictions.c.id).where(predictions.c.id.in_([row.prediction for row in rows]))
            ).scalars()
        )
        for row in rows:
            if row.prediction in there:
                statement = insert_or(connection, shadow).values(**asdict(row)).on_conflict_do_nothing()
                connection.execute(statement)
    return {row.prediction for row in rows} - there


def disagreements(engine: Engine, model: str, version: str | None = None) -> list[Disagreement]:
    """Photos of which a candidate says something else than was answered, one of each, the newest first.

    Args:
        engine: The database.
        model: Name under which the other model answers.
        version: Of the candidate; the one that was seen last by default.

    Raises:
        LogDatabaseError: The database cannot be used now.
    """
    with translated_errors(engine.url, rows=False), reading(engine) as connection:
        version = version or _newest_version(connection, model)
        if version is None:
            return []
        rows = [dict(row) for row in connection.execute(_differing(model, version)).mappings()]
    found: dict[str, Disagreement] = {}
    for row in rows:
        found.setdefault(row["photo"], _disagreement(row))
    return list(found.values())


def to_decide(engine: Engine, model: str, *, limit: int = 20) -> tuple[list[dict[str, Any]], int]:
    """Photos on which two models differ and of which nobody has said anything, and how many there are in all.

    Args:
        engine: The database.
        model: Name under which the other model answers.
        limit: How many.

    Returns:
        Rows of predictions, each with ``choices``: the ids of the two labels (``None`` for unknown) in an order that
        only the prediction's id decides, so that nobody sees which model said what.

    Raises:
        LogDatabaseError: The database cannot be used now.
    """
    with translated_errors(engine.url, rows=False), reading(engine) as connection:
        version = _newest_version(connection, model)
        if version is None:
            return [], 0
        spoken = feedback.join(predictions, predictions.c.id == feedback.c.prediction)
        said = select(predictions.c.photo).select_from(spoken).where(feedback.c.undone.is_(None))
        waiting = _differing(model, version).where(predictions.c.photo.not_in(said))
        ids = waiting.with_only_columns(predictions.c.photo).order_by(None).distinct().subquery()
        total = int(connection.execute(select(func.count()).select_from(ids)).scalar_one())
        shown = _first_photos(connection, waiting, limit)
        rows = connection.execute(select(predictions).where(predictions.c.id.in_(shown))).mappings()
        by_id = {row["id"]: dict(row) for row in rows}
    ordered = [by_id[identity] | {"choices": in_lot(one)} for identity, one in shown.items() if identity in by_id]
    return ordered, total


def _first_photos(connection: Connection, waiting: Any, limit: int) -> dict[str, Disagreement]:
    """The newest disagreement on each photo, by its prediction; no more rows are read than that takes."""
    found: dict[str, Disagreement] = {}
    with connection.execute(waiting.execution_options(yield_per=_AT_ONCE)) as result:
        for row in result.mappings():
            found.setdefault(row["photo"], _disagreement(row))
            if len(found) == limit:
                break
    return {one.prediction: one for one in found.values()}


def _disagreement(row: Mapping[Any, Any]) -> Disagreement:
    return Disagreement(
        prediction=row["id"],
        photo=row["photo"],
        given=None if row["unknown"] else row["label_id"],
        shadow=None if row["shadow_unknown"] else row["shadow_label_id"],
    )


def in_lot(one: Disagreement) -> list[str | None]:
    """The two labels in an order that says nothing of who said which."""
    lot = hashlib.sha256(f"{one.prediction}\norder".encode()).digest()[0] % 2
    return [one.given, one.shadow] if lot else [one.shadow, one.given]


def compared(engine: Engine, model: str, version: str) -> tuple[int, int, int]:
    """On how many photos a candidate was compared, how many of them it calls unknown, and how many the other model.

    Raises:
        LogDatabaseError: The database cannot be used now.
    """
    statement = (
        select(func.count(), _sum(shadow.c.unknown), _sum(predictions.c.unknown))
        .select_from(shadow.join(predictions, predictions.c.id == shadow.c.prediction))
        .where(shadow.c.model == model, shadow.c.version == version)
    )
    with translated_errors(engine.url, rows=False), reading(engine) as connection:
        count, candidate, other = connection.execute(statement).one()
    return int(count), int(candidate or 0), int(other or 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswerCounts:
    """What a version has answered in a time.

    Attributes:
        count: Answers.
        unknown: Of these, unknown ones.
        p95: 95% quantile of their latency, in seconds.
        labels: Answers by the id of their label.
    """

    count: int = 0
    unknown: int = 0
    p95: float = 0.0
    labels: dict[str, int]


def answered(engine: Engine, model: str, version: str, since: datetime, until: datetime | None = None) -> AnswerCounts:
    """What a version has answered since a moment.

    Raises:
        LogDatabaseError: The database cannot be used now.
    """
    p = predictions.c
    here = and_(p.model == model, p.version == version, p.time >= since)
    if until is not None:
        here = and_(here, p.time < until)
    by_label = select(p.label_id, func.count(), _sum(p.unknown)).where(here).group_by(p.label_id)
    with translated_errors(engine.url, rows=False), reading(engine) as connection:
        rows = connection.execute(by_label).all()
        count = sum(int(number) for _, number, _ in rows)
        slow = select(p.latency).where(here).order_by(p.latency).offset(int(0.95 * count)).limit(1)
        p95 = connection.execute(slow).scalar() if count else 0.0
    labels = {str(label): int(number) for label, number, _ in rows}
    return AnswerCounts(count=count, unknown=sum(int(u or 0) for _, _, u in rows), p95=float(p95 or 0), labels=labels)


def _newest_version(connection: Connection, model: str) -> str | None:
    """The candidate that was seen last beside a model."""
    newest = _joined().where(shadow.c.model == model).order_by(predictions.c.time.desc()).limit(1)
    latest = connection.execute(newest).mappings().first()
    return None if latest is None else str(latest["version"])


def _differing(model: str, version: str) -> Any:
    """Predictions of which a candidate says something else, the newest first."""
    return (
        _joined()
        .where(shadow.c.model == model, shadow.c.version == version, _differ())
        .order_by(predictions.c.time.desc(), predictions.c.id)
    )


def _joined() -> Any:
    columns = (
        predictions.c.id,
        predictions.c.photo,
        predictions.c.label_id,
        predictions.c.unknown,
        shadow.c.version,
        shadow.c.label_id.label("shadow_label_id"),
        shadow.c.unknown.label("shadow_unknown"),
    )
    return select(*columns).select_from(shadow.join(predictions, predictions.c.id == shadow.c.prediction))


def _differ() -> ColumnElement[bool]:
    return or_(
        shadow.c.unknown != predictions.c.unknown,
        and_(shadow.c.unknown.is_(False), shadow.c.label_id != predictions.c.label_id),
    )


def _sum(column: Any) -> ColumnElement[Any]:
    return func.sum(case((column, 1), else_=0))
