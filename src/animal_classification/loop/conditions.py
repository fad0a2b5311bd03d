"""When a cycle begins: enough new labels, and a reason. Never on drift alone, which would teach nothing new."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from animal_classification.loop.config import StartConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Situation:
    """What is known when the loop is asked.

    Attributes:
        labels: New labelled photos.
        days: Since the last cycle collected; ``None`` where there was none.
        accuracy_high: Upper end of the audited accuracy's interval; ``None`` without an audit.
        drift_days: Days running, up to today, on which harmful drift was confirmed.
        drift_says: What the newest of these verdicts says.
    """

    labels: int
    days: float | None = None
    accuracy_high: float | None = None
    drift_days: int = 0
    drift_says: str = ""


@dataclass(frozen=True, slots=True)
class Due:
    """Whether a cycle begins.

    Attributes:
        begins: It does.
        why: The reason, or what is missing.
        asks_for: Photos that people should label first; 0 where nothing is asked of them.
    """

    begins: bool
    why: str
    asks_for: int = 0


def due(situation: Situation, config: StartConfig) -> Due:
    """Decide whether a cycle begins now."""
    if situation.days is not None and situation.days < config.every_days:
        hours = 24 * (config.every_days - situation.days)
        return Due(
            begins=False, why=f"the last cycle began less than {config.every_days:g} days ago; next in {hours:.1f} h"
        )
    drifted = situation.drift_days >= config.drift_days
    if situation.labels < config.labels or not situation.labels:
        missing = f"{situation.labels} new labels of {config.labels}"
        if drifted:
            return Due(False, f"{missing}, and drift: {situation.drift_says}".rstrip(": "), config.ask)
        return Due(begins=False, why=missing)
    reasons = [
        (situation.labels >= config.enough, "enough of them"),
        (
            config.accuracy is not None
            and situation.accuracy_high is not None
            and situation.accuracy_high < config.accuracy,
            f"the audited accuracy is at most {100 * (situation.accuracy_high or 0):.1f}%",
        ),
        (drifted, f"drift: {situation.drift_says}"),
        (situation.days is not None and situation.days >= config.days, f"{situation.days or 0:.0f} days have passed"),
        (situation.days is None, "the first cycle"),
    ]
    for holds, why in reasons:
        if holds:
            return Due(begins=True, why=f"{situation.labels} new labels, {why}")
    return Due(begins=False, why=f"{situation.labels} new labels, but no other reason to train yet")
