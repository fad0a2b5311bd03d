"""The audit's photos and what people said of them, from the log."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import ColumnElement, and_, select

from animal_classification.monitoring import queries
from animal_classification.monitoring.audit import AuditSample
from animal_classification.monitoring.logged_windows import not_of_a_canary
from animal_classification.prediction_log.feedback_queries import latest_feedback
from animal_classification.prediction_log.period_sums import confidence_of
from animal_classification.prediction_log.periods import Window
from animal_classification.prediction_log.tables import feedback, predictions

if TYPE_CHECKING:
    from sqlalchemy import Connection, RowMapping


def read_audit(
    connection: Connection,
    since: float,
    until: float,
    *,
    model: str | None = None,
    version: str | None = None,
    canaries: bool = False,
) -> AuditSample:
    """The photos of a period that count for the audit: those chosen, and the mean of all.

    It reads sums and the chosen photos, so that it costs the same however much is kept.

    Args:
        connection: To the log.
        since: From when on, in seconds since 1970; moved to the begin of a period, as ``periods.Window`` says.
        until: Up to, but not with.
        model: Answers of this model alone.
        version: Of this version alone.
        canaries: Also those that it gave as a canary.
    """
    window = Window.of(until, until - since)
    uses = [
        use
        for (name, number), use in queries.total_of(
            part for _, part in queries.periods(connection, window)
        ).models.items()
        if model in (None, name) and version in (None, number)
    ]
    counted = sum(use.counted for use in uses)
    begin = queries.moment(window.since)
    wanted = [predictions.c.time >= begin, predictions.c.time < queries.moment(until)]
    wanted += [] if canaries else [not_of_a_canary()]
    wanted += [predictions.c.model == model] if model is not None else []
    wanted += [predictions.c.version == version] if version is not None else []
    rows = _chosen(connection, and_(*wanted))
    words = _words(connection, begin) if rows else {}
    return AuditSample(
        photo=tuple(row["photo"] for row in rows),
        probability=np.array([row["audit"] for row in rows], np.float64),
        doubt=np.array([row["doubt"] for row in rows], np.float64),
        confidence=np.array([confidence_of(row) for row in rows], np.float64),
        right=np.array([_right(row, words.get(row["photo"])) for row in rows], np.float64),
        mean_confidence=sum(use.confidence for use in uses) / counted if counted else 0.0,
        photos=counted,
    )


def _chosen(connection: Connection, wanted: ColumnElement[bool]) -> list[RowMapping]:
    """The first prediction of each photo that was chosen."""
    names = ("photo", "audit", "doubt", "probability", "known", "unknown", "label_id", "answer")
    statement = select(*(predictions.c[name] for name in names)).where(predictions.c.audited.is_(True), wanted)
    first: dict[str, RowMapping] = {}
    for row in connection.execute(statement.order_by(predictions.c.time, predictions.c.id)).mappings():
        first.setdefault(row["photo"], row)
    return list(first.values())


def _words(connection: Connection, since: datetime) -> dict[str, RowMapping]:
    """What stands on each photo that people looked at: a word on any prediction of it is one on the photo."""
    standing = latest_feedback()
    statement = (
        select(
            predictions.c.photo,
            feedback.c.verdict,
            feedback.c.label_id,
            predictions.c.label_id.label("answered"),
            predictions.c.unknown,
        )
        .select_from(standing.join(feedback, feedback.c.number == standing.c.number))
        .join(predictions, predictions.c.id == feedback.c.prediction)
        .where(feedback.c.time >= since)
        .order_by(feedback.c.number)
    )
    return {row["photo"]: row for row in connection.execute(statement).mappings()}


def _right(row: RowMapping, word: RowMapping | None) -> float:
    """1 where the answer is right by a word, 0 where it is wrong, NaN where there is no word."""
    if word is None:
        return np.nan
    if word["verdict"] == "none":
        return float(row["unknown"])
    if word["verdict"] == "confirmed":  # an answer that may be another one than this
        return float(row["label_id"] == word["answered"] and row["unknown"] == word["unknown"])
    return float(not row["unknown"] and row["label_id"] == word["label_id"])
