"""A page of the review as it is sent: of each prediction what a person should see, and no more.

Where two models differ a person sees two answers, and nothing that tells which is whose.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from animal_classification.prediction_log import feedback as store
from animal_classification.prediction_log.review_queue import ALL, ReviewOrder
from animal_classification.prediction_log.shadow_rows import newest_shadow
from animal_classification.serving.http.feedback_schemas import FeedbackRecord, Page, Reviewable
from animal_classification.serving.ui.pages import EXAMPLES, example_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from animal_classification.serving.observability.prediction_logging import PredictionLogger
    from animal_classification.serving.service import ModelService

Queue = Literal["all", "doubt", "disagree", "asked", "audit"]
QUEUES = (
    "`all`: photos on which a model and its shadow differ, blind; then those that the loop asks for, those chosen by "
    "chance, and the doubtful ones. `disagree`, `asked`, `audit`: one of these. `doubt`: by chance, then by doubt."
)
UNKNOWN = "unknown"
_HIDDEN: Mapping[str, Any] = {
    "label": "",
    "label_id": "",
    "answer": "",
    "level": "",
    "probability": 0.0,
    "unknown": False,
    "doubt": 0.0,
    "labels": (),
    "top": (),
    "version": "",
    "boxes": None,
}


@dataclass(frozen=True)
class Beside:
    """What runs in the shadow of which model, at the moment of a request.

    Attributes:
        model: The one whose disagreements are asked for.
        shadows: For each model that has a shadow its name, and the shadow's version.
        names: Of labels by their ids, for each model, its shadow's among them.
    """

    model: str
    shadows: tuple[tuple[str, str], ...]
    names: Mapping[str, Mapping[str, str]]

    @classmethod
    def of(cls, service: ModelService, queue: Queue, model: str | None) -> Beside:
        """What is there now.

        Raises:
            ProblemError: 404 where there is no such model.
        """
        shadows, names = [], {}
        for name, slot in service.models:
            infos = [slot.current.info]
            if slot.shadow is not None and slot.shadow.loaded is not None:
                infos.insert(0, slot.shadow.loaded.predictor.info)
                shadows.append((name, infos[0].version))
            names[name] = {label.id: label.name for info in infos for label in info.labels}
        asked = service.models.find(model).current.info.name if queue == "disagree" else ""
        return cls(asked, tuple(shadows), names)


def open_page(predictions: PredictionLogger, beside: Beside, queue: Queue, limit: int, after: str | None) -> Page:
    """Photos that nobody has said anything of; beside the event loop.

    Raises:
        LogDatabaseError: The database, or the place of the photos, cannot be used now.
    """
    engine = predictions.log.database()
    order = _order_of(beside, queue, lambda: newest_shadow(engine, beside.model))
    page = store.review_page(engine, order=order, limit=limit, after=after, leave_out=sample_photos())
    kept = predictions.photos.having(row["photo"] for row in page.rows)
    return Page(
        predictions=[
            _blind(row, kept, beside) if row["why"] == "disagree" else review_entry(row, kept) for row in page.rows
        ],
        total=page.total,
        counts=page.counts or None,
        next=_following(page.rows, limit),
    )


def reviewed_page(predictions: PredictionLogger, limit: int, after: str | None) -> Page:
    """What was said last; beside the event loop.

    Raises:
        LogDatabaseError: The database, or the place of the photos, cannot be used now.
    """
    rows, total = store.to_review(predictions.log.database(), done=True, limit=limit, after=after)
    kept = predictions.photos.having(row["photo"] for row in rows)
    return Page(predictions=[review_entry(row, kept) for row in rows], total=total, next=_following(rows, limit))


def _order_of(beside: Beside, queue: Queue, newest: Callable[[], str | None]) -> ReviewOrder:
    if queue == "doubt":
        return ReviewOrder()
    if queue != "disagree":
        return ReviewOrder(ALL, () if queue == "all" else (queue,), beside.shadows)
    shadows = tuple(one for one in beside.shadows if one[0] == beside.model)
    if not shadows and (version := newest()) is not None:  # it has gone, and its disagreements may still be judged
        shadows = ((beside.model, version),)
    return ReviewOrder(ALL, ("disagree",), shadows)


def _following(rows: list[dict[str, Any]], limit: int) -> str | None:
    return rows[-1]["id"] if len(rows) == limit else None


def review_entry(row: dict[str, Any], kept: set[str]) -> Reviewable:
    """A prediction of the log as the review shows it; ``kept`` holds the hashes of photos that are there."""
    top = [{"label": name, "label_id": identity, "probability": share} for name, identity, share in row["top"]]
    photo = f"review/{row['id']}/photo" if row["photo"] in kept else None
    said = row["feedback"] and known_fields(row["feedback"])
    chosen = {name: value for name, value in row.items() if name in Reviewable.model_fields}
    own = {"set": row["labels"], "top": top, "photo": photo, "feedback": said, "detections": row["boxes"]}
    return Reviewable(**chosen | own | {"audited": bool(row["audited"])})


def _blind(row: dict[str, Any], kept: set[str], beside: Beside) -> Reviewable:
    """Without what the model said: two answers by name, in the order that the row has them in."""
    names = beside.names.get(row["model"], {})
    choices = [UNKNOWN if choice is None else names.get(choice, choice) for choice in row["choices"]]
    hidden = {name: list(value) if isinstance(value, tuple) else value for name, value in _HIDDEN.items()}
    return review_entry({**row, **hidden, "choices": choices, "feedback": None}, kept)


def known_fields(said: dict[str, Any]) -> dict[str, Any]:
    """Of a word what is told."""
    return {name: value for name, value in said.items() if name in FeedbackRecord.model_fields}


@cache
def sample_photos() -> frozenset[str]:
    """SHA-256 of the photos that the page offers for trying: what they show is known."""
    return frozenset(hashlib.sha256(example_path(name).read_bytes()).hexdigest() for name in EXAMPLES)
