"""What the choice of photos for the audit goes by: how many came on the last day, and how doubtful they were."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, select

from animal_classification.prediction_log.database import reading
from animal_classification.prediction_log.database_errors import translated_errors
from animal_classification.prediction_log.periods import HOUR
from animal_classification.prediction_log.tables import predictions, sums

_LATEST = 2000


def what_came(engine: Engine, now: float | None = None) -> tuple[float, list[float]]:
    """How many photos came in the last 24 hours that count for the audit, and the doubt of the latest of them.

    It reads sums and the latest 2,000 rows, however many came.

    Args:
        engine: The log's database.
        now: Seconds since 1970; the clock's by default.

    Raises:
        LogDatabaseError: The database cannot be used now.
    """
    until = time.time() if now is None else now
    hours = select(sums.c.predictions).where(sums.c.seconds == HOUR, sums.c.start > until - 25 * HOUR)
    since = datetime.fromtimestamp(until, UTC) - timedelta(days=1)
    latest = (
        select(predictions.c.audit, predictions.c.doubt)
        .where(predictions.c.time >= since)
        .order_by(predictions.c.time.desc())
        .limit(_LATEST)
    )
    with translated_errors(engine.url, rows=False), reading(engine) as connection:
        count = sum(connection.execute(hours).scalars())
        rows = connection.execute(latest).all()
    doubts = [doubt for probability, doubt in rows if probability is not None]
    return count * len(doubts) / max(1, len(rows)), doubts
