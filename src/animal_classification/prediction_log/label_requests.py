"""Photos that a loop asks people to label: kept in the log, so that every server shows them in its review."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, case, delete, func, insert, select

from animal_classification.prediction_log.database import reading, writing
from animal_classification.prediction_log.database_errors import translated_errors
from animal_classification.prediction_log.feedback_queries import has_feedback
from animal_classification.prediction_log.tables import predictions, requests

if TYPE_CHECKING:
    from sqlalchemy import Engine

# Of so many of the newest photos some are chosen.
MOST = 5000


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenPhoto:
    """A photo that a version of a model has answered, and that nobody has said anything of.

    Attributes:
        photo: Its SHA-256.
        known: The least known score that it was given.
        audited: It was chosen by chance.
        scene: It is the first of its scene, as far as the servers know, and not one more frame of a burst.
        sources: Where it came from.
    """

    photo: str
    known: float
    audited: bool
    scene: bool
    sources: frozenset[str]


def open_photos(engine: Engine, model: str, version: str, since: datetime) -> list[OpenPhoto]:
    """Photos of which one may ask what they show, the newest ones.

    Raises:
        LogDatabaseError: The database cannot be used now.
    """
    p = predictions.c
    statement = (
        select(p.photo, p.known, p.audit, p.audited, p.source)
        .where(p.model == model, p.version == version, p.time >= since, ~has_feedback())
        .order_by(p.time.desc(), p.id)
        .limit(MOST)
    )
    grouped: dict[str, list[Any]] = {}
    with translated_errors(engine.url, rows=False), reading(engine) as connection:
        for row in connection.execute(statement).mappings():
            grouped.setdefault(row["photo"], []).append(row)
    return [
        OpenPhoto(
            photo=photo,
            known=min(row["known"] for row in rows),
            audited=any(row["audited"] for row in rows),
            scene=any(row["audit"] is not None for row in rows),
            sources=frozenset(row["source"] or "" for row in rows),
        )
        for photo, rows in grouped.items()
    ]


def ask_for(engine: Engine, model: str, photos: Mapping[str, str]) -> None:
    """Ask for these photos, and for no others any more.

    Args:
        engine: The database.
        model: Whose loop asks.
        photos: SHA-256 of each, and what it is asked for: ``drift`` or ``chance``.

    Raises:
        LogDatabaseError: The database cannot be used now.
    """
    now = datetime.now(UTC)
    rows = [{"photo": photo, "model": model, "part": part, "time": now} for photo, part in photos.items()]
    with translated_errors(engine.url, rows=False), writing(engine) as connection:
        connection.execute(delete(requests).where(requests.c.model == model))
        if rows:
            connection.execute(insert(requests), rows)


def asked_for(engine: Engine, model: str) -> tuple[int, int]:
    """How many photos a loop asks for, and of how many of them nobody has said anything yet.

    Raises:
        LogDatabaseError: The database cannot be used now.
    """
    with translated_errors(engine.url, rows=False), reading(engine) as connection:
        return _asked(connection, model)


def _asked(connection: Connection, model: str) -> tuple[int, int]:
    waits = select(predictions.c.photo).where(predictions.c.photo == requests.c.photo, ~has_feedback())
    counted = func.sum(case((waits.correlate(requests).exists(), 1), else_=0))
    count, waiting = connection.execute(select(func.count(), counted).where(requests.c.model == model)).one()
    return int(count), int(waiting or 0)
