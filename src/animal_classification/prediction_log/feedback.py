"""Feedback on predictions: all of it is kept, and the last one that is not undone counts."""

# Imported where they are used: SQLAlchemy takes 120 ms to load, and a server without a prediction log needs none of it.

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from animal_classification.prediction_log.database import reading, writing
from animal_classification.prediction_log.database_errors import translated_errors
from animal_classification.prediction_log.record import storable

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Engine

    from animal_classification.prediction_log.review_queue import ReviewOrder, ReviewPage

Verdict = Literal["confirmed", "corrected", "none"]
MAX_NOTE, MAX_WHO, MAX_LABEL = 2000, 80, 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Feedback:
    """A person's feedback on one prediction.

    Attributes:
        prediction: Its id.
        verdict: ``confirmed``: the answer is right; ``corrected``: it shows ``label``; ``none``: it shows no animal.
        label: What the person says: the answer that was confirmed (a label, a group, "animal", …), the right name where
            corrected, "no animal". Empty in feedback of earlier versions, which confirmed the label or said "none of
            the labels".
        label_id: Its id; empty where the model has no such label.
        note: Anything; at most ``MAX_NOTE`` characters are kept.
        who: Whose it is; at most ``MAX_WHO`` characters are kept.
    """

    prediction: str
    verdict: Verdict
    label: str | None = None
    label_id: str | None = None
    note: str | None = None
    who: str | None = None


def add(engine: Engine, feedback: Feedback) -> dict[str, Any] | None:
    """Keep feedback; returns it as it is kept, or ``None`` if there is no such prediction.

    Raises:
        LogDatabaseError: The database cannot be used now.
        RefusedRowError: It has no code for a character of it.
    """
    from sqlalchemy.exc import IntegrityError

    from animal_classification.prediction_log import feedback_queries as queries

    values = {name: getattr(feedback, name) for name in Feedback.__slots__} | {"time": datetime.now(UTC)}
    values["note"] = feedback.note and storable(feedback.note, MAX_NOTE)
    values["label"] = feedback.label and storable(feedback.label, MAX_LABEL)
    values["who"] = feedback.who and storable(feedback.who, MAX_WHO)
    try:
        with translated_errors(engine.url), writing(engine) as connection:
            return {"number": queries.insert_feedback(connection, values), **values}
    except IntegrityError:  # the foreign key, which both databases enforce: it may just have been deleted
        return None


def undo(engine: Engine, number: int, own: str | None = None) -> dict[str, Any] | None:
    """Undo feedback; returns it, or ``None`` if there is none of that number.

    Args:
        engine: The database.
        number: Of the feedback.
        own: Whose it must be; anybody's by default. Another person's stays, and is returned with ``undone`` empty.

    Raises:
        LogDatabaseError: The database cannot be used now.
    """
    from animal_classification.prediction_log import feedback_queries as queries

    with translated_errors(engine.url, rows=False), writing(engine) as connection:
        return queries.undo_feedback(connection, number, None if own is None else storable(own, MAX_WHO))


def prediction(engine: Engine, identity: str) -> dict[str, Any] | None:
    """One prediction with its feedback; ``None`` if it is not in the database.

    Raises:
        LogDatabaseError: The database cannot be used now.
    """
    from animal_classification.prediction_log import feedback_queries as queries

    with translated_errors(engine.url, rows=False), reading(engine) as connection:
        return queries.find_prediction(connection, _id(identity))


def to_review(
    engine: Engine,
    *,
    done: bool = False,
    limit: int = 20,
    after: str | None = None,
    leave_out: Collection[str] = (),
) -> tuple[list[dict[str, Any]], int]:
    """A page of predictions to review, those of the audit and then the most doubtful first, and how many there are.

    Args:
        engine: The database.
        done: Those with feedback, the latest first; by default the last prediction of each photo without feedback.
        limit: How many.
        after: Id of the last one of the page before.
        leave_out: Photos (SHA-256) that need no review.

    Raises:
        LogDatabaseError: The database cannot be used now.
    """
    from animal_classification.prediction_log import feedback_queries as queries

    if not done:
        page = review_page(engine, limit=limit, after=after, leave_out=leave_out)
        return page.rows, page.total
    after = after and _id(after)
    with translated_errors(engine.url, rows=False), reading(engine) as connection:
        return queries.reviewed_predictions(connection, limit, after), queries.count_reviewed(connection)


def review_page(
    engine: Engine,
    *,
    order: ReviewOrder | None = None,
    limit: int = 20,
    after: str | None = None,
    leave_out: Collection[str] = (),
) -> ReviewPage:
    """A page of photos that nobody has said anything of, class by class.

    Args:
        engine: The database.
        order: Which classes; the audit's and then the doubtful ones by default.
        limit: How many photos.
        after: Id of the last one of the page before.
        leave_out: Photos (SHA-256) that need no review.

    Raises:
        LogDatabaseError: The database cannot be used now.
    """
    from animal_classification.prediction_log.review_queue import page_of

    with translated_errors(engine.url, rows=False), reading(engine) as connection:
        return page_of(connection, order, limit=limit, after=after and _id(after), leave_out=leave_out)


def all_feedback(engine: Engine) -> list[dict[str, Any]]:
    """All predictions with feedback, the latest feedback first.

    Raises:
        LogDatabaseError: The database cannot be used now.
    """
    from animal_classification.prediction_log import feedback_queries as queries

    with translated_errors(engine.url, rows=False), reading(engine) as connection:
        return queries.reviewed_predictions(connection)


def reviewed_photos(engine: Engine, photos: Collection[str]) -> set[str]:
    """Those of these photos (SHA-256) that have feedback which is not undone.

    Raises:
        LogDatabaseError: The database cannot be used now.
    """
    from animal_classification.prediction_log import feedback_queries as queries

    with translated_errors(engine.url, rows=False), reading(engine) as connection:
        return queries.reviewed_photos(connection, photos)


def wanted_photos(engine: Engine, photos: Collection[str], audit_days: float) -> set[str]:
    """Those of these photos (SHA-256) that are kept whatever room there is.

    People reviewed them, or shall: they were chosen for the audit, or the loop asks for them.

    Args:
        engine: The database.
        photos: Which are asked about.
        audit_days: For how many days a photo of the audit waits for somebody to look at it.

    Raises:
        LogDatabaseError: The database cannot be used now.
    """
    from animal_classification.prediction_log import feedback_queries as queries

    since = datetime.now(UTC) - timedelta(days=audit_days)
    with translated_errors(engine.url, rows=False), reading(engine) as connection:
        asked = queries.requested_photos(connection, photos) | queries.audited_photos(connection, photos, since)
        return queries.reviewed_photos(connection, photos) | asked


def new_label_names(engine: Engine) -> list[str]:
    """Names of animals that people gave and the model did not know, in the order of the alphabet.

    Raises:
        LogDatabaseError: The database cannot be used now.
    """
    from animal_classification.prediction_log import feedback_queries as queries

    with translated_errors(engine.url, rows=False), reading(engine) as connection:
        return sorted(queries.new_label_names(connection), key=str.casefold)


def _id(identity: str) -> str:
    """An id as the database may be asked for it; ids are ASCII, and some databases would refuse what is not."""
    return storable(identity).encode("ascii", "replace").decode("ascii")
