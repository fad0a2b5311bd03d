"""What a candidate said of photos that another model answered: kept, and compared with what people say."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, FromClause, and_, case, false, func, or_, select, tuple_

from animal_classification.prediction_log.database import insert_or, reading, writing
from animal_classification.prediction_log.database_errors import translated_errors
from animal_classification.prediction_log.tables import predictions, shadow

if TYPE_CHECKING:
    from sqlalchemy import Engine


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
        version = version or _newest_shadow(connection, model)
        return list(newest_differences(connection, [(model, version)]).values()) if version else []


def newest_shadow(engine: Engine, model: str) -> str | None:
    """Version of the shadow that was compared with a model last; ``None`` where none was.

    Raises:
        LogDatabaseError: The database cannot be used now.
    """
    with translated_errors(engine.url, rows=False), reading(engine) as connection:
        return _newest_shadow(connection, model)


def _newest_shadow(connection: Connection, model: str) -> str | None:
    newest = _joined().where(shadow.c.model == model).order_by(predictions.c.time.desc()).limit(1)
    latest = connection.execute(newest).mappings().first()
    return None if latest is None else str(latest["version"])


def newest_differences(
    connection: Connection, shadows: Sequence[tuple[str, str]], photos: Sequence[str] | None = None
) -> dict[str, Disagreement]:
    """The last disagreement on each photo, the newest first.

    Args:
        connection: To the log.
        shadows: Name of a model, and version of its shadow.
        photos: These photos alone; all by default.
    """
    statement = _joined().where(of_shadows(shadows), differ(predictions))
    if photos is not None:
        statement = statement.where(predictions.c.photo.in_(photos))
    found: dict[str, Disagreement] = {}
    for row in connection.execute(statement.order_by(predictions.c.time.desc(), predictions.c.id)).mappings():
        one = Disagreement(
            prediction=row["id"],
            photo=row["photo"],
            given=None if row["unknown"] else row["label_id"],
            shadow=None if row["shadow_unknown"] else row["shadow_label_id"],
        )
        found.setdefault(one.photo, one)
    return found


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


def of_shadows(shadows: Sequence[tuple[str, str]]) -> ColumnElement[bool]:
    """A row of the shadows' table is of one of these: name of the model beside, and version."""
    return tuple_(shadow.c.model, shadow.c.version).in_(shadows) if shadows else false()


def differ(answered: FromClause) -> ColumnElement[bool]:
    """A shadow says something else than the prediction that it is joined with."""
    return or_(
        shadow.c.unknown != answered.c.unknown,
        and_(shadow.c.unknown.is_(False), shadow.c.label_id != answered.c.label_id),
    )


def _sum(column: Any) -> ColumnElement[Any]:
    return func.sum(case((column, 1), else_=0))
