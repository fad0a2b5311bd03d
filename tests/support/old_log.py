"""A log as an earlier version left it, and what its monitor said of it: read row by row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Column, Engine, LargeBinary, MetaData, Table, insert

from animal_classification.prediction_log.database import writing
from animal_classification.prediction_log.migrate import migrate
from animal_classification.prediction_log.record import PredictionRecord
from animal_classification.prediction_log.tables import predictions

LATER_COLUMNS = {"stats", "source", "audit", "audited", "canary", "taken", "boxes"}  # since revision 0004


def write_old_log(engine: Engine, records: Sequence[PredictionRecord], revision: str = "0002") -> None:
    """Tables of that revision, made by its own migrations, with embeddings among the predictions."""
    migrate(engine, revision)
    columns = [Column(it.name, it.type) for it in predictions.columns if it.name not in LATER_COLUMNS]
    table = Table(predictions.name, MetaData(), *columns, Column("embedding", LargeBinary, nullable=False))
    rows = [record.to_row() | {"embedding": record.embedding} for record in records]
    known = {column.name for column in table.columns}
    with writing(engine) as connection:
        connection.execute(insert(table), [{name: row[name] for name in known} for row in rows])


def told_before(records: Sequence[PredictionRecord], since: float, until: float) -> dict[str, Any]:
    """The counts and means of a status, from every prediction of the window."""
    inside = [record for record in records if since <= record.time < until]
    known = Counter(record.label for record in inside if not record.unknown)
    models = Counter((record.model, record.version) for record in inside)
    times = {m: [r.time for r in inside if (r.model, r.version) == m] for m in models}
    return {
        "predictions": len(inside),
        "photos": len({record.photo for record in inside}),
        "unknown": sum(record.unknown for record in inside),
        "labels": sorted(known.items(), key=lambda item: (-item[1], item[0])),
        "models": {
            (name, version): (count, _moment(min(times[name, version])), _moment(max(times[name, version])))
            for (name, version), count in models.items()
        },
        "confidence": sum(record.probability for record in inside) / len(inside),
        "latency": sum(record.latency for record in inside) / len(inside),
        "histogram": [sum(min(19, int(record.probability * 20)) == part for record in inside) for part in range(20)],
    }


def told_now(status: dict[str, Any]) -> dict[str, Any]:
    """The same of a status."""
    return {
        "predictions": status["predictions"],
        "photos": status["photos"],
        "unknown": status["unknown"]["predictions"],
        "labels": [(item["label"], item["predictions"]) for item in status["labels"]],
        "models": {
            (item["model"], item["version"]): (item["predictions"], item["first"], item["last"])
            for item in status["models"]
        },
        "confidence": status["confidence"]["mean"],
        "latency": status["latency"]["mean"],
        "histogram": status["confidence"]["histogram"],
    }


def _moment(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds")
