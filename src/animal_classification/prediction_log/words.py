"""What people said of photos, for who makes labels of it: all words that stand, and which of them are collected.

Unlike the review, which shows the last word on a prediction, this reads every person's: where two people say different
things of one photo, neither is a label.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from animal_classification.prediction_log.corrections import NO_ANIMAL, training_label
from animal_classification.prediction_log.database import reading, writing
from animal_classification.prediction_log.database_errors import translated_errors
from animal_classification.prediction_log.tables import feedback, predictions

if TYPE_CHECKING:
    from sqlalchemy import Engine

_AT_ONCE = 500  # numbers in one statement


@dataclass(frozen=True, kw_only=True, slots=True)
class Word:
    """One person's word on one photo.

    Attributes:
        number: Of the feedback.
        photo: SHA-256 of what was sent.
        label: What it says that the photo shows; ``NO_ANIMAL``, or ``None`` where it names no class.
        verdict: ``confirmed``, ``corrected`` or ``none``.
        who: Whose it is; empty where nobody said.
        time: When.
        prediction: Id of the prediction.
        model: That predicted.
        version: Of that model.
        audit: With which probability the photo was chosen for the audit.
        audited: It was chosen.
        collected: The cycle that took it.
    """

    number: int
    photo: str
    label: str | None
    verdict: str
    who: str
    time: datetime
    prediction: str
    model: str
    version: str
    audit: float | None
    audited: bool
    collected: str | None

    @property
    def speaker(self) -> str:
        """Who is taken to be one person: a name, or, where there is none, the prediction that was spoken of."""
        return self.who or f"\0{self.prediction}"


def standing_words(engine: Engine) -> list[Word]:
    """All words that are not undone, the first one first; of one person on one photo only the last.

    Raises:
        LogDatabaseError: The database cannot be used now.
    """
    said = [column.label(f"said_{column.name}") for column in feedback.c]
    statement = (
        select(*predictions.c, *said)
        .select_from(feedback.join(predictions, predictions.c.id == feedback.c.prediction))
        .where(feedback.c.undone.is_(None))
        .order_by(feedback.c.number)
    )
    with translated_errors(engine.url, rows=False), reading(engine) as connection:
        found = [_word(dict(row)) for row in connection.execute(statement).mappings()]
    last = {(word.photo, word.speaker): word for word in found}
    return sorted(last.values(), key=lambda word: word.number)


def mark_collected(engine: Engine, numbers: Collection[int], cycle: str) -> None:
    """Say that a cycle has taken these words; doing it again changes nothing.

    Raises:
        LogDatabaseError: The database cannot be used now.
    """
    ordered = sorted(numbers)
    with translated_errors(engine.url, rows=False), writing(engine) as connection:
        for start in range(0, len(ordered), _AT_ONCE):
            part = ordered[start : start + _AT_ONCE]
            here = update(feedback).where(feedback.c.number.in_(part), feedback.c.collected.is_(None))
            connection.execute(here.values(collected=cycle))


def _word(row: Mapping[str, Any]) -> Word:
    said = {column.name: row[f"said_{column.name}"] for column in feedback.c}
    label = training_label({**row, "feedback": said})
    if said["verdict"] == "none":  # whatever else was said of it: it shows nothing that is a class
        label = NO_ANIMAL
    return Word(
        number=said["number"],
        photo=row["photo"],
        label=label,
        verdict=said["verdict"],
        who=said["who"] or "",
        time=said["time"],
        prediction=row["id"],
        model=row["model"],
        version=row["version"],
        audit=row["audit"],
        audited=bool(row["audited"]),
        collected=said["collected"],
    )
