"""What the loop knows when it is asked whether to begin: labels, time, drift, the audit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select

from animal_classification.data.exchange.reader import read_labels
from animal_classification.evaluation.confidence_intervals import wilson
from animal_classification.loop.conditions import Situation
from animal_classification.loop.labels import SpokenOf, from_imported, from_words
from animal_classification.prediction_log.database import reading
from animal_classification.prediction_log.database_errors import translated_errors
from animal_classification.prediction_log.tables import drift
from animal_classification.prediction_log.words import standing_words

if TYPE_CHECKING:
    from animal_classification.loop.cycle import Cycle
    from animal_classification.loop.workplace import Workplace

# Drift of these kinds is one that labels help against; a changed mix of animals is not.
_TEACHABLE = ("image", "content", "look")
_LOOK_BACK = timedelta(days=31)
FEW_AUDITED = 30


def new_labels(work: Workplace, cycles: Sequence[Cycle], table: Path | None = None) -> SpokenOf:
    """What people said since the last cycle, as labels.

    Args:
        work: Where.
        cycles: All so far.
        table: Labels from a labelling tool, in place of the words in the log.

    Raises:
        UsageError: The table holds no label.
    """
    data = work.data(list(cycles), work.series())
    if table is not None:
        return from_imported(read_labels(table), data.classes, work.config.collect)
    return from_words(standing_words(work.engine), data.classes, work.config.collect)


def situation(work: Workplace, cycles: Sequence[Cycle], spoken: SpokenOf) -> Situation:
    """What is known now."""
    began = [cycle.rows[0].time for cycle in cycles]
    days = (work.clock() - began[-1]).total_seconds() / 86400 if began else None
    drift_days, says = _drift(work)
    return Situation(
        labels=len(spoken.labelled),
        days=days,
        accuracy_high=_audited_high(work),
        drift_days=drift_days,
        drift_says=says,
    )


def _audited_high(work: Workplace) -> float | None:
    """Upper end of the share that people found right among audited answers of the version in production."""
    model, version = work.config.model, str(work.production().version)
    words = [
        word
        for word in standing_words(work.engine)
        if word.audit is not None and (word.model, word.version) == (model, version)
    ]
    if len(words) < FEW_AUDITED:
        return None
    right = sum(word.verdict == "confirmed" for word in words)
    return wilson(right / len(words), len(words))[1]


def _drift(work: Workplace) -> tuple[int, str]:
    """Days running with confirmed, harmful drift, up to today or yesterday, and what the newest verdict says."""
    columns = (drift.c.time, drift.c.score, drift.c.explain)
    statement = (
        select(*columns)
        .where(
            drift.c.model == work.config.model,
            drift.c.confirmed.is_(True),
            drift.c.kind.in_(_TEACHABLE),
            drift.c.time >= work.clock() - _LOOK_BACK,
        )
        .order_by(drift.c.time.desc())
    )
    with translated_errors(work.engine.url, rows=False), reading(work.engine) as connection:
        rows = [row for row in connection.execute(statement).all() if _harmful(row.score)]
    days = sorted({row.time.date() for row in rows}, reverse=True)
    today = work.clock().date()
    if not days or today - days[0] > timedelta(days=1):
        return 0, ""
    count = next((n for n in range(1, len(days)) if days[n - 1] - days[n] != timedelta(days=1)), len(days))
    return count, str(rows[0].explain)


def _harmful(score: object) -> bool:
    """The monitor's score is above 0.25 for confirmed drift that does harm, and only then."""
    value = score.get("score", 0.0) if isinstance(score, dict) else score
    return isinstance(value, (int, float)) and float(value) > 0.25
