"""Questions to the log that SQLite and PostgreSQL both answer; each looks at a window of time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, ColumnElement, Integer, case, cast, extract, func, select

from animal_classification.prediction_log.feedback import standing_words
from animal_classification.prediction_log.tables import feedback, predictions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

BINS = 20


@dataclass(frozen=True, slots=True)
class Window:
    """From ``since`` up to, but not with, ``until``."""

    since: datetime
    until: datetime

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.until - self.since).total_seconds()

    @property
    def holds(self) -> ColumnElement[bool]:
        """A prediction is in it."""
        return (predictions.c.time >= self.since) & (predictions.c.time < self.until)


def totals(connection: Connection, window: Window) -> dict[str, Any]:
    """Counts and means."""
    statement = select(
        func.count().label("predictions"),
        func.count(func.distinct(predictions.c.photo)).label("photos"),
        func.coalesce(func.sum(cast(predictions.c.unknown, Integer)), 0).label("unknown"),
        func.avg(predictions.c.probability).label("confidence"),
        func.avg(predictions.c.latency).label("latency"),
    ).where(window.holds)
    return dict(connection.execute(statement).mappings().one())


def versions(connection: Connection, window: Window) -> list[dict[str, Any]]:
    """Which models answered, the busiest first."""
    count = func.count().label("predictions")
    statement = (
        select(
            predictions.c.model,
            predictions.c.version,
            count,
            func.min(predictions.c.time).label("first"),
            func.max(predictions.c.time).label("last"),
        )
        .where(window.holds)
        .group_by(predictions.c.model, predictions.c.version)
        .order_by(count.desc(), predictions.c.model, predictions.c.version)
    )
    return [dict(row) for row in connection.execute(statement).mappings()]


def labels(connection: Connection, window: Window, most: int) -> list[tuple[str, int]]:
    """The labels answered most often, photos that are none of them left out."""
    count = func.count().label("predictions")
    statement = (
        select(predictions.c.label, count)
        .where(window.holds, predictions.c.unknown.is_(False))
        .group_by(predictions.c.label)
        .order_by(count.desc(), predictions.c.label)
        .limit(most)
    )
    return [(row[0], int(row[1])) for row in connection.execute(statement)]


def confidence(connection: Connection, window: Window) -> list[int]:
    """How many predictions have a probability in each of ``BINS`` equal parts of [0, 1]."""
    # Rounded down by subtracting a half, because casts round on one database and cut off on the other.
    number = cast(func.round(predictions.c.probability * BINS - 0.5), Integer).label("bin")
    counts = [0] * BINS
    for index, count in connection.execute(select(number, func.count()).where(window.holds).group_by(number)):
        counts[min(BINS - 1, max(0, int(index)))] += int(count)
    return counts


def percentiles(
    connection: Connection, window: Window, column: ColumnElement[Any], shares: Sequence[float], count: int
) -> list[float | None]:
    """The values below which these shares of ``count`` predictions lie; ``None`` where there are none."""
    found: list[float | None] = []
    for share in shares:
        rank = min(count - 1, int(share * count))
        statement = select(column).where(window.holds).order_by(column).offset(max(0, rank)).limit(1)
        value = connection.execute(statement).scalar()
        found.append(None if value is None else float(value))
    return found


def over_time(connection: Connection, window: Window, parts: int) -> list[dict[str, Any]]:
    """The window in equal parts: when each begins, in seconds since 1970, predictions, unknown ones, mean latency."""
    bucket, width, start = _bucket(window, parts)
    statement = (
        select(
            bucket,
            func.count(),
            func.coalesce(func.sum(cast(predictions.c.unknown, Integer)), 0),
            func.avg(predictions.c.latency),
        )
        .where(window.holds)
        .group_by(bucket)
    )
    found: list[dict[str, Any]] = [
        {"time": start + part * width, "predictions": 0, "unknown": 0, "latency": None} for part in range(parts)
    ]
    for index, count, unknown, latency in connection.execute(statement):
        if 0 <= int(index) < parts:
            found[int(index)] |= {"predictions": int(count), "unknown": int(unknown), "latency": float(latency)}
    return found


def labels_over_time(connection: Connection, window: Window, parts: int, names: Sequence[str]) -> dict[str, list[int]]:
    """How often each of these labels was answered in each part of the window."""
    bucket, _, _ = _bucket(window, parts)
    statement = (
        select(predictions.c.label, bucket, func.count())
        .where(window.holds, predictions.c.unknown.is_(False), predictions.c.label.in_(names))
        .group_by(predictions.c.label, bucket)
    )
    found = {name: [0] * parts for name in names}
    for name, index, count in connection.execute(statement):
        if 0 <= int(index) < parts:
            found[name][int(index)] += int(count)
    return found


def words(connection: Connection, window: Window) -> dict[str, int]:
    """What people say of the window's predictions, by verdict, and how many of these words agree with the model."""
    standing = standing_words()
    agrees = (
        (feedback.c.verdict == "confirmed")
        | ((feedback.c.verdict == "none") & predictions.c.unknown)
        | (
            (feedback.c.verdict == "corrected")
            & (feedback.c.label_id == predictions.c.label_id)
            & predictions.c.unknown.is_(False)
        )
    )
    statement = (
        select(feedback.c.verdict, func.count(), func.sum(case((agrees, 1), else_=0)))
        .select_from(standing.join(feedback, feedback.c.number == standing.c.number))
        .join(predictions, predictions.c.id == feedback.c.prediction)
        .where(window.holds)
        .group_by(feedback.c.verdict)
    )
    found = {"confirmed": 0, "corrected": 0, "none": 0, "agree": 0}
    for verdict, count, agree in connection.execute(statement):
        found[verdict] = int(count)
        found["agree"] += int(agree)
    return found


def _bucket(window: Window, parts: int) -> tuple[ColumnElement[int], int, int]:
    start = int(window.since.timestamp())
    width = max(1, -(-int(window.seconds) // parts))
    seconds = cast(extract("epoch", predictions.c.time), BigInteger)
    return ((seconds - start) // width).label("part"), width, start
