"""Questions to the log that SQLite and PostgreSQL both answer; each looks at a window of time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import and_, case, func, or_, select

from animal_classification.prediction_log import tables
from animal_classification.prediction_log.feedback_queries import latest_feedback
from animal_classification.prediction_log.period_sums import Sums

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from animal_classification.prediction_log.periods import Window

EPOCH = datetime.fromtimestamp(0, UTC)
Period = tuple[int, Sums]  # when it began, in seconds since 1970, and what was counted in it


def moment(seconds: float) -> datetime:
    """A moment by the seconds since 1970; also one that Windows would not know."""
    return EPOCH + timedelta(seconds=seconds)


def periods(connection: Connection, window: Window) -> list[Period]:
    """The periods of a window in which there is anything: some hundreds at most, however much is kept."""
    sums = tables.sums
    within = (
        and_(sums.c.seconds == part.seconds, sums.c.start >= part.begin, sums.c.start < part.end)
        for part in window.stretches
    )
    rows = connection.execute(select(sums).where(or_(*within)).order_by(sums.c.start)).mappings()
    return [(row["start"], Sums.from_row(row)) for row in rows]


def in_all(parts: Iterable[Sums]) -> Sums:
    """All parts in one."""
    total = Sums()
    for part in parts:
        total.merge(part)
    return total


def in_parts(found: Iterable[Period], window: Window) -> list[Sums]:
    """Those of each part of the window."""
    parts = [Sums() for _ in window.parts]
    for begin, period in found:
        number = window.part_of(begin)
        if 0 <= number < len(parts):
            parts[number].merge(period)
    return parts


def words(connection: Connection, window: Window) -> dict[str, int]:
    """What people say of the window's predictions, by verdict, and how many of these words agree with the model.

    It looks at what people said, which is little, and at those predictions alone.
    """
    feedback, predictions = tables.feedback, tables.predictions
    standing = latest_feedback()
    agrees = (
        (feedback.c.verdict == "confirmed")
        | ((feedback.c.verdict == "none") & predictions.c.unknown)
        | (
            (feedback.c.verdict == "corrected")
            & (feedback.c.label_id == predictions.c.label_id)
            & predictions.c.unknown.is_(False)
        )
    )
    time = predictions.c.time
    statement = (
        select(feedback.c.verdict, func.count(), func.sum(case((agrees, 1), else_=0)))
        .select_from(standing.join(feedback, feedback.c.number == standing.c.number))
        .join(predictions, predictions.c.id == feedback.c.prediction)
        .where(time >= moment(window.since), time < moment(window.until))
        .group_by(feedback.c.verdict)
    )
    found = {"confirmed": 0, "corrected": 0, "none": 0, "agree": 0}
    for verdict, count, agree in connection.execute(statement):
        found[verdict] = int(count)
        found["agree"] += int(agree)
    return found
