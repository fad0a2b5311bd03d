"""The newest photos of the prediction log, as the drift monitor looks at them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import ColumnElement, and_, func, or_, select

from animal_classification.imaging.statistics import NAMES
from animal_classification.monitoring.drift.sample import DriftWindow, PhotoSample
from animal_classification.prediction_log.tables import embeddings, predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sqlalchemy import Connection, RowMapping

MOST_ROWS = 2000


@dataclass(frozen=True, kw_only=True)
class LoggedPhotos:
    """Which predictions are looked at.

    Attributes:
        model: The model's name, as in the log.
        version: Its version.
        since: From when on.
        after: Only those that came later than this; those before are judged.
        until: Up to when, and with it.
        source: The camera or site; empty for all.
        most: The newest so many rows.
    """

    model: str
    version: str
    since: datetime
    after: datetime | None = None
    until: datetime | None = None
    source: str = ""
    most: int = MOST_ROWS

    @property
    def condition(self) -> ColumnElement[bool]:
        """In SQL. Answers of a canary are not counted: they have a model of their own."""
        wanted = [predictions.c.model == self.model, predictions.c.version == self.version]
        wanted += [
            predictions.c.time >= self.since,
            not_of_a_canary(),
        ]
        if self.after is not None:
            wanted.append(predictions.c.time > self.after)
        if self.until is not None:
            wanted.append(predictions.c.time <= self.until)
        if self.source:
            wanted.append(predictions.c.source == self.source)
        return and_(*wanted)


def read_window(
    connection: Connection, asked: LoggedPhotos, label_ids: Sequence[str], dimensions: int | None = None
) -> DriftWindow:
    """Read the newest photos.

    Args:
        connection: To the log.
        asked: Which.
        label_ids: Ids of the model's labels, in its order.
        dimensions: Of its embeddings, by default those of the newest; rows with others are of another network and left
            out.

    Returns:
        The window, not thinned. Where there is a choice, only photos with statistics: they were drawn by chance.
    """
    columns = ("id", "time", "photo", "label_id", "probability", "known", "source", "stats")
    statement = (
        select(*(predictions.c[name] for name in columns), embeddings.c.embedding)
        .join(embeddings, embeddings.c.prediction == predictions.c.id)
        .where(asked.condition)
        .order_by(predictions.c.time.desc(), predictions.c.id)
        .limit(asked.most)
    )
    found = connection.execute(statement).mappings().all()
    width = dimensions or (len(found[0]["embedding"]) // 2 if found else 1)
    rows = [row for row in found if len(row["embedding"]) == 2 * width]
    measured = [row for row in rows if row["stats"] is not None and len(row["stats"]) == 2 * len(NAMES)]
    chosen = measured if 2 * len(measured) >= min(len(rows), MOST_ROWS // 10) else rows
    return _window(chosen[::-1], {name: place for place, name in enumerate(label_ids)}, width, len(rows))


def newest_version(connection: Connection, model: str, since: datetime) -> str | None:
    """The version of a model that answered last; ``None`` where it did not."""
    last = (
        select(predictions.c.version)
        .where(predictions.c.model == model, predictions.c.time >= since)
        .where(not_of_a_canary())
        .order_by(predictions.c.time.desc())
    )
    found: str | None = connection.execute(last.limit(1)).scalar_one_or_none()
    return found


def models_since(connection: Connection, since: datetime) -> list[tuple[str, int]]:
    """Names of the models that answered, the busiest first."""
    count = func.count()
    statement = select(predictions.c.model, count).where(predictions.c.time >= since).group_by(predictions.c.model)
    return [(name, int(number)) for name, number in connection.execute(statement.order_by(count.desc()))]


def not_of_a_canary() -> ColumnElement[bool]:
    """The model of that name answered; older rows do not say."""
    return or_(predictions.c.canary.is_(None), predictions.c.canary.is_(False))


def _window(rows: Sequence[RowMapping], places: dict[str, int], dimensions: int, read: int) -> DriftWindow:
    return DriftWindow(
        sample=PhotoSample(
            embedding=_matrix([row["embedding"] for row in rows], dimensions),
            stats=_statistics(rows),
            pred=np.array([places.get(row["label_id"], -1) for row in rows], np.int64),
            probability=np.array([row["probability"] for row in rows], np.float64),
            known=np.array([row["known"] for row in rows], np.float64),
        ),
        ids=tuple(row["id"] for row in rows),
        time=np.array([row["time"].timestamp() for row in rows], np.float64),
        source=tuple(row["source"] or "" for row in rows),
        photo=tuple(row["photo"] for row in rows),
        read=read,
    )


def _matrix(values: Sequence[Any], width: int) -> NDArray[np.float32]:
    flat = np.frombuffer(b"".join(bytes(value) for value in values), "<f2")
    result: NDArray[np.float32] = flat.astype(np.float32).reshape(-1, width)
    return result


def _statistics(rows: Sequence[RowMapping]) -> NDArray[np.float32]:
    nothing = np.full(len(NAMES), np.nan, "<f2").tobytes()
    return _matrix([row["stats"] or nothing for row in rows], len(NAMES))
