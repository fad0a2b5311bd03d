"""Frames of one burst that reached different workers: they meet in the log's database, where all but one stop to count.

Each worker knows its own scenes (``photo_sampling``); what the others saw is in the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, select

from animal_classification.prediction_log.photo_sampling import RecentScenes
from animal_classification.prediction_log.record import PredictionRecord
from animal_classification.prediction_log.tables import embeddings, predictions

REMEMBERED = 256  # scenes, of all workers
APART = timedelta(minutes=10)  # frames further apart are no burst


@dataclass(frozen=True, slots=True)
class _LoggedFrame:
    photo: str
    embedding: bytes
    source: str


def scenes_once(connection: Connection, records: Sequence[PredictionRecord]) -> list[PredictionRecord]:
    """The records, those without a place in the audit whose scene is in the log already.

    Args:
        connection: In the transaction that writes them, alone: of two workers one comes first.
        records: New ones.
    """
    counting = [record for record in records if record.audit is not None]
    if not counting:
        return list(records)
    scenes = RecentScenes(REMEMBERED)
    for seen in _seen(connection, counting):
        scenes.has(seen)
    return [
        replace(record, audit=None, audited=False) if record.audit is not None and scenes.has(record) else record
        for record in records
    ]


def _seen(connection: Connection, records: Sequence[PredictionRecord]) -> list[_LoggedFrame]:
    """The scenes that count already from the time of these records, the first one first."""
    first, last = (datetime.fromtimestamp(pick(record.time for record in records), UTC) for pick in (min, max))
    p = predictions.c
    statement = (
        select(p.photo, embeddings.c.embedding, p.source)
        .select_from(predictions.outerjoin(embeddings, embeddings.c.prediction == p.id))
        .where(p.audit.is_not(None), p.time >= first - APART, p.time <= last + APART)
        .order_by(p.time.desc(), p.id)
        .limit(REMEMBERED)
    )
    rows = connection.execute(statement).all()
    return [_LoggedFrame(photo, bytes(embedding or b""), source or "") for photo, embedding, source in reversed(rows)]
