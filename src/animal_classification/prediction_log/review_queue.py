"""The one queue of the review: photos that nobody has said anything of, class by class.

``disagree``: a candidate in the shadow says something else than was answered; such a photo is shown blind, because the
word on it decides between the two. ``asked``: the loop asks for it. ``audit``: it was chosen by chance, to know how
accurate all answers are. ``doubt``: all others, the most doubtful first. A photo belongs to the first class that has
it. Within the first three, hashes decide the order: what is seen first must not depend on what it shows.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, func, select, true, tuple_

from animal_classification.prediction_log.feedback_queries import count_open, has_feedback, seen_again
from animal_classification.prediction_log.shadow_rows import differ, in_lot, newest_differences, of_shadows
from animal_classification.prediction_log.tables import predictions, requests, shadow

Why = Literal["disagree", "asked", "audit", "doubt"]
ALL: tuple[Why, ...] = ("disagree", "asked", "audit", "doubt")
BY_CHANCE_AND_DOUBT: tuple[Why, ...] = ("audit", "doubt")


@dataclass(frozen=True, slots=True)
class ReviewOrder:
    """Which classes there are, and which of them are wanted.

    Attributes:
        classes: In their order.
        shown: Those that are wanted; all of them where it is empty.
        shadows: For each model that has a shadow its name, and the shadow's version.
    """

    classes: tuple[Why, ...] = BY_CHANCE_AND_DOUBT
    shown: tuple[Why, ...] = ()
    shadows: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ReviewPage:
    """A part of the queue.

    Attributes:
        rows: The last prediction of each photo, with ``why``; where two models differ with ``choices``, the ids of the
            two labels (``None`` for unknown) in an order that says nothing of who said which.
        total: How many photos there are in the classes that are shown.
        counts: How many there are in each class; empty where nobody asked for more than the usual two.
    """

    rows: list[dict[str, Any]]
    total: int
    counts: dict[Why, int] = field(default_factory=dict)


def page_of(
    connection: Connection, order: ReviewOrder | None, *, limit: int, after: str | None, leave_out: Collection[str]
) -> ReviewPage:
    """A page; see :func:`feedback.review_page`."""
    order = order or ReviewOrder()
    rows = _rows(connection, order, limit, after, leave_out)
    total = count_open(connection, leave_out)
    if order.classes == BY_CHANCE_AND_DOUBT:
        return ReviewPage(rows, total)
    counts: dict[Why, int] = {why: _count(connection, order, why, leave_out) for why in order.classes if why != "doubt"}
    counts["doubt"] = total - sum(counts.values())
    return ReviewPage(rows, sum(counts[why] for why in order.shown or order.classes), counts)


def _rows(
    connection: Connection, order: ReviewOrder, limit: int, after: str | None, leave_out: Collection[str]
) -> list[dict[str, Any]]:
    place = None if after is None else _place_of(connection, order, after)
    found: list[dict[str, Any]] = []
    if after is not None and place is None:
        return found
    passed = order.classes.index(place.why) if place is not None else 0
    for why in order.classes[passed:]:
        if len(found) >= limit or why not in (order.shown or order.classes):
            continue
        statement = _open(order, why, leave_out).limit(limit - len(found))
        if place is not None and place.why == why:
            statement = statement.where(_after(why, place))
        found += _entries(connection, order, why, statement)
    return found


@dataclass(frozen=True, slots=True)
class _QueuePlace:
    """Where a prediction is in the queue."""

    why: Why
    id: str
    photo: str
    doubt: float


def _place_of(connection: Connection, order: ReviewOrder, identity: str) -> _QueuePlace | None:
    """Where a prediction is; ``None`` where it is gone."""
    columns = (predictions.c.id, predictions.c.photo, predictions.c.doubt)
    flags = [_has(why, order).label(f"is_{why}") for why in order.classes]
    row = connection.execute(select(*columns, *flags).where(predictions.c.id == identity)).mappings().first()
    if row is None:
        return None
    why = next((why for why in order.classes if row[f"is_{why}"]), order.classes[-1])
    return _QueuePlace(why, row["id"], row["photo"], row["doubt"])


def _after(why: Why, place: _QueuePlace) -> ColumnElement[bool]:
    if why == "doubt":
        return tuple_(predictions.c.doubt, predictions.c.id) < tuple_(place.doubt, place.id)
    return predictions.c.photo > place.photo


def _open(order: ReviewOrder, why: Why, leave_out: Collection[str]) -> Any:
    """The last predictions of the photos of a class, in their order."""
    by = (predictions.c.doubt.desc(), predictions.c.id.desc()) if why == "doubt" else (predictions.c.photo,)
    statement = select(predictions, _has("audit", order).label("chosen"))
    return statement.where(*_members(order, why, leave_out), ~seen_again()).order_by(*by)


def _count(connection: Connection, order: ReviewOrder, why: Why, leave_out: Collection[str]) -> int:
    photos = func.count(func.distinct(predictions.c.photo))
    return int(connection.execute(select(photos).where(*_members(order, why, leave_out))).scalar_one())


def _members(order: ReviewOrder, why: Why, leave_out: Collection[str]) -> list[ColumnElement[bool]]:
    """What holds for predictions of a class's photos."""
    before = order.classes[: order.classes.index(why)]
    wanted = [_has(why, order), *(~_has(other, order) for other in before), ~has_feedback()]
    return [*wanted, predictions.c.photo.not_in(leave_out)] if leave_out else wanted


def _has(why: Why, order: ReviewOrder) -> ColumnElement[bool]:
    """A class has a photo, for whichever of its predictions; each query starts from what is little."""
    if why == "doubt":
        return true()
    if why == "asked":
        return predictions.c.photo.in_(select(requests.c.photo))
    if why == "disagree":
        return is_disputed(order.shadows)
    of = predictions.alias("of_audit")  # these are few, and have an index
    return predictions.c.photo.in_(select(of.c.photo).where(of.c.audited.is_(True)))


def is_disputed(shadows: Sequence[tuple[str, str]]) -> ColumnElement[bool]:
    """One of these shadows says something else of a prediction's photo than was answered."""
    of = predictions.alias("of_disagree")
    beside = select(of.c.photo).select_from(shadow.join(of, of.c.id == shadow.c.prediction))
    return predictions.c.photo.in_(beside.where(of_shadows(shadows), differ(of)))


def _entries(connection: Connection, order: ReviewOrder, why: Why, statement: Any) -> list[dict[str, Any]]:
    rows = connection.execute(statement).mappings()
    entries = [dict(row) | {"feedback": None, "audited": bool(row["chosen"]), "why": why} for row in rows]
    if why != "disagree":
        return entries
    found = newest_differences(connection, order.shadows, [row["photo"] for row in entries])
    return [row | {"choices": in_lot(found[row["photo"]])} for row in entries]
