"""What the loop knows when it is asked whether to begin: labels, time, drift, the audit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from animal_classification.data.exchange.reader import read_labels
from animal_classification.loop.audit import audit_of
from animal_classification.loop.conditions import Situation
from animal_classification.loop.labels import SpokenOf, from_imported, from_words
from animal_classification.prediction_log.database import reading
from animal_classification.prediction_log.database_errors import translated_errors
from animal_classification.prediction_log.drift_records import verdicts_since
from animal_classification.prediction_log.words import standing_words

if TYPE_CHECKING:
    from animal_classification.loop.cycle import Cycle
    from animal_classification.loop.workplace import Workplace

# Drift of these kinds is one that labels help against; a changed mix of animals is not.
_TEACHABLE = ("image", "content", "look")
_HARMFUL = 0.25  # of the monitor's score: above it, drift is confirmed and does harm
_LOOK_BACK = timedelta(days=31)
_MOST_VERDICTS = 20_000


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
    """Upper end of the audited accuracy of the version in production."""
    now = work.clock()
    return audit_of(work.engine, work.config.model, str(work.production().version), now - _LOOK_BACK, now).high


def _drift(work: Workplace) -> tuple[int, str]:
    """Days running with confirmed, harmful drift, up to today or yesterday, and what the newest verdict says."""
    since = work.clock() - _LOOK_BACK
    with translated_errors(work.engine.url, rows=False), reading(work.engine) as connection:
        verdicts = verdicts_since(connection, since, model=work.config.model, limit=_MOST_VERDICTS)
    harmful = [one for one in verdicts if one.confirmed and one.kind in _TEACHABLE and one.value > _HARMFUL]
    days = sorted({one.time.date() for one in harmful}, reverse=True)
    today = work.clock().date()
    if not days or today - days[0] > timedelta(days=1):
        return 0, ""
    gaps = (number for number in range(1, len(days)) if days[number - 1] - days[number] != timedelta(days=1))
    return next(gaps, len(days)), harmful[0].explain
