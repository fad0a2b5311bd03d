"""What the loop knows when it is asked whether to begin: labels, time, drift, the audit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from animal_classification.data.exchange.reader import read_labels
from animal_classification.loop.audit import audit_of
from animal_classification.loop.conditions import Situation
from animal_classification.loop.forgotten_photos import ForgottenPhotos
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
        AnimalsError: Nobody can say which photos must not be collected.
    """
    forgotten = ForgottenPhotos.read(work.home)
    data = work.data(list(cycles), work.series())
    if table is not None:
        labels = read_labels(table)
        known = [one for one in labels if one.sha256 not in forgotten]
        found = from_imported(known, data.classes, work.config.collect)
        found.forgotten = len({one.sha256 for one in labels} - {one.sha256 for one in known})
        return found
    words = standing_words(work.engine)
    found = from_words([word for word in words if word.photo not in forgotten], data.classes, work.config.collect)
    found.forgotten = len({word.photo for word in words if word.collected is None and word.photo in forgotten})
    return found


@dataclass(frozen=True, slots=True)
class HarmfulDrift:
    """Drift that the monitor has confirmed, that costs accuracy, and that labels help against.

    Attributes:
        days: Days running, up to today or yesterday.
        kind: Of the newest verdict.
        says: That verdict in a sentence.
        source: The camera or site that it is about; empty for all.
        since: When the first photo came in which it showed.
    """

    days: int
    kind: str
    says: str
    source: str
    since: datetime


def situation(work: Workplace, cycles: Sequence[Cycle], spoken: SpokenOf, drift: HarmfulDrift | None) -> Situation:
    """What is known now."""
    began = [cycle.rows[0].time for cycle in cycles]
    days = (work.clock() - began[-1]).total_seconds() / 86400 if began else None
    return Situation(
        labels=len(spoken.labelled),
        days=days,
        accuracy_high=_audited_high(work),
        drift_days=drift.days if drift else 0,
        drift_says=drift.says if drift else "",
    )


def _audited_high(work: Workplace) -> float | None:
    """Upper end of the audited accuracy of the version in production."""
    now = work.clock()
    return audit_of(work.engine, work.config.served, str(work.production().version), now - _LOOK_BACK, now).high


def harmful_drift(work: Workplace) -> HarmfulDrift | None:
    """The drift of these days; ``None`` without any."""
    since = work.clock() - _LOOK_BACK
    with translated_errors(work.engine.url, rows=False), reading(work.engine) as connection:
        verdicts = verdicts_since(connection, since, model=work.config.served, limit=_MOST_VERDICTS)
    harmful = [one for one in verdicts if one.confirmed and one.kind in _TEACHABLE and one.value > _HARMFUL]
    days = sorted({one.time.date() for one in harmful}, reverse=True)
    if not days or work.clock().date() - days[0] > timedelta(days=1):
        return None
    gaps = (number for number in range(1, len(days)) if days[number - 1] - days[number] != timedelta(days=1))
    running = next(gaps, len(days))
    newest = harmful[0]
    return HarmfulDrift(
        days=running,
        kind=newest.kind,
        says=newest.explain,
        source=str(newest.verdict.get("verdict", {}).get("source") or newest.source),
        since=min(one.since for one in harmful if one.time.date() >= days[running - 1]),
    )
