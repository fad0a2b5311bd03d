"""Verdicts of the drift monitor, and accepted baselines, as rows of ``animals_drift``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, select, update

from animal_classification.prediction_log.database import insert_or
from animal_classification.prediction_log.tables import drift

ACCEPTED = "accepted"


@dataclass(frozen=True, kw_only=True)
class DriftRecord:
    """One row.

    Attributes:
        id: Of the window: judging the same photos again changes nothing.
        time: When it was judged, or accepted.
        since: When the first photo of the window came.
        until: When the last one did.
        model: The model's name.
        version: Its version.
        source: The camera or site; empty for all.
        reference: SHA-256 of what the photos were compared with, or of the accepted baseline.
        read: Photos that were read.
        used: Photos that were judged.
        p: P of each test.
        effects: How large each difference is.
        kind: ``none``, ``image``, ``content``, ``look``, ``mix``, or ``accepted``.
        confirmed: The window before showed it, too.
        harm: The drop of accuracy that is estimated: ``low``, ``high``.
        score: ``value``, and ``verdict``: the whole object as the API tells it, with ``fired`` and ``examples``.
        explain: The verdict in a sentence; of a baseline, who accepted it and why.
    """

    id: str
    time: datetime
    since: datetime
    until: datetime
    model: str
    version: str
    source: str
    reference: str
    read: int
    used: int
    p: Mapping[str, float]
    effects: Mapping[str, float]
    kind: str
    confirmed: bool
    harm: Mapping[str, Any]
    score: Mapping[str, Any]
    explain: str

    @property
    def verdict(self) -> dict[str, Any]:
        """The object of the API."""
        return dict(self.score.get("verdict", {}))

    @property
    def value(self) -> float:
        """``animals_drift_score``."""
        return float(self.score.get("value", 0.0))

    @classmethod
    def from_row(cls, row: Mapping[Any, Any]) -> DriftRecord:
        """As the database has it."""
        return cls(**{name: row[name] for name in cls.__dataclass_fields__})


def add_record(connection: Connection, record: DriftRecord) -> bool:
    """Write a row; returns whether it was not there yet."""
    values = {name: getattr(record, name) for name in DriftRecord.__dataclass_fields__}
    statement = insert_or(connection, drift).values(**values).on_conflict_do_nothing(index_elements=[drift.c.id])
    return bool(connection.execute(statement).rowcount)


def newest_verdict(connection: Connection, model: str, version: str, source: str) -> DriftRecord | None:
    """The last verdict on the photos of one version of a model."""
    wanted = and_(drift.c.model == model, drift.c.version == version, drift.c.source == source)
    return _first(connection, wanted, drift.c.kind != ACCEPTED)


def accepted_baseline(connection: Connection, model: str, source: str) -> DriftRecord | None:
    """The newest baseline that was accepted for a model, for this source or else for all."""
    found = _first(connection, drift.c.model == model, drift.c.source == source, drift.c.kind == ACCEPTED)
    if found is None and source:
        return accepted_baseline(connection, model, "")
    return found


def verdicts_since(
    connection: Connection, since: datetime, *, model: str | None = None, source: str | None = None, limit: int = 200
) -> list[DriftRecord]:
    """Verdicts, the newest first."""
    statement = select(drift).where(drift.c.time >= since, drift.c.kind != ACCEPTED)
    if model is not None:
        statement = statement.where(drift.c.model == model)
    if source is not None:
        statement = statement.where(drift.c.source == source)
    rows = connection.execute(statement.order_by(drift.c.time.desc(), drift.c.id).limit(limit)).mappings()
    return [DriftRecord.from_row(row) for row in rows]


def newest_of_each(connection: Connection) -> list[DriftRecord]:
    """The last verdict for each model and source; of its last version alone."""
    last = (
        select(drift.c.model, drift.c.source, func.max(drift.c.time).label("time"))
        .where(drift.c.kind != ACCEPTED)
        .group_by(drift.c.model, drift.c.source)
        .subquery("last")
    )
    same = and_(drift.c.model == last.c.model, drift.c.source == last.c.source, drift.c.time == last.c.time)
    rows = connection.execute(select(drift).join(last, same).where(drift.c.kind != ACCEPTED)).mappings()
    return [DriftRecord.from_row(row) for row in rows]


def delete_verdicts(connection: Connection, before: datetime) -> None:
    """Delete old verdicts; accepted baselines stay."""
    connection.execute(delete(drift).where(drift.c.time < before, drift.c.kind != ACCEPTED))


def change_baseline(connection: Connection, reference: str, new: tuple[str, int] | None) -> None:
    """Let an accepted baseline be another, of so many photos; without one it is accepted no more."""
    ours = and_(drift.c.kind == ACCEPTED, drift.c.reference == reference)
    if new is None:
        connection.execute(delete(drift).where(ours))
    else:
        connection.execute(update(drift).where(ours).values(reference=new[0], used=new[1]))


def since_of(records: Sequence[DriftRecord]) -> datetime | None:
    """Since when the newest verdict's kind of drift has been there without a break; ``None`` without drift.

    Args:
        records: Of one model and source, the newest first.
    """
    began = None
    for record in records:
        if record.kind == "none":
            break
        began = record.since
    return began


def _first(connection: Connection, *wanted: ColumnElement[bool]) -> DriftRecord | None:
    newest = select(drift).where(*wanted).order_by(drift.c.time.desc(), drift.c.id).limit(1)
    row = connection.execute(newest).mappings().first()
    return None if row is None else DriftRecord.from_row(row)


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)
