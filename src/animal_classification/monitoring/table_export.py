"""The log, or a model's reference for drift, as a flat parquet table that other monitors read, such as Evidently.

Both tables have the same columns: what a monitor of tables compares is the one with the other.
"""

# Imported where they are used: DuckDB takes 60 ms to load.

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import select

from animal_classification.common.text_files import refuse_foreign
from animal_classification.data.duckdb_parquet import is_about, write_table
from animal_classification.errors import OutputError, UsageError
from animal_classification.imaging.statistics import NAMES
from animal_classification.monitoring.drift.judge import NoReferenceError
from animal_classification.monitoring.drift.reference import NO_LABEL, DriftReference
from animal_classification.prediction_log.corrections import training_label
from animal_classification.prediction_log.database import reading
from animal_classification.prediction_log.database_errors import translated_errors
from animal_classification.prediction_log.feedback import all_feedback
from animal_classification.prediction_log.tables import predictions

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from animal_classification.bundle import Bundle

# ``target`` is what people said; in a reference, the true label.
COLUMNS = {
    "id": "VARCHAR",
    "timestamp": "TIMESTAMP",
    "model": "VARCHAR",
    "version": "VARCHAR",
    "source": "VARCHAR",
    "prediction": "VARCHAR",
    "probability": "DOUBLE",
    "known": "DOUBLE",
    "unknown": "BOOLEAN",
    "target": "VARCHAR",
    **dict.fromkeys(NAMES, "DOUBLE"),
}
Row = dict[str, Any]
_ABOUT = "animals monitor export"


def export_log(engine: Engine, target: Path, since: datetime, model: str | None = None) -> int:
    """Write the predictions of a period; returns how many.

    Raises:
        LogDatabaseError: The database cannot be used now.
        OutputError: The file cannot be written.
        UsageError: It has not the ending ``.parquet``.
    """
    return _write(_logged(engine, since, model), target)


def export_reference(bundle: Bundle, target: Path) -> int:
    """Write a model's reference for drift; returns how many photos it has.

    Raises:
        NoReferenceError: It has none.
        OutputError: The file cannot be written.
        UsageError: It has not the ending ``.parquet``.
    """
    reference = DriftReference.of(bundle)
    if reference is None:
        raise NoReferenceError(f"{bundle.info.name} has no reference for drift; animals monitor reference adds one")
    return _write(_referenced(bundle, reference), target)


def _logged(engine: Engine, since: datetime, model: str | None) -> Iterator[Row]:
    said = {row["photo"]: training_label(row) for row in reversed(all_feedback(engine))}
    names = ("id", "time", "model", "version", "source", "label", "probability", "known", "unknown", "photo", "stats")
    statement = select(*(predictions.c[name] for name in names)).where(predictions.c.time >= since)
    if model is not None:
        statement = statement.where(predictions.c.model == model)
    statement = statement.order_by(predictions.c.time).execution_options(yield_per=2000)
    with translated_errors(engine.url, rows=False), reading(engine) as connection:
        for row in connection.execute(statement).mappings():
            stats = np.frombuffer(row["stats"], "<f2") if row["stats"] else ()
            yield {
                "id": row["id"],
                "timestamp": _moment(row["time"]),
                "model": row["model"],
                "version": row["version"],
                "source": row["source"] or "",
                "prediction": row["label"],
                "probability": row["probability"],
                "known": row["known"],
                "unknown": bool(row["unknown"]),
                "target": said.get(row["photo"]),
                **{name: float(value) for name, value in zip(NAMES, stats, strict=False)},
            }


def _referenced(bundle: Bundle, reference: DriftReference) -> Iterator[Row]:
    sample, info = reference.sample, bundle.info
    threshold = info.unknown.threshold if info.unknown else 0.0
    for place in range(len(sample)):
        label = int(reference.label[place])
        yield {
            "id": f"{int(reference.sha[place]):016x}",
            "timestamp": _moment(info.created),
            "model": info.name,
            "version": info.version,
            "source": "",
            "prediction": info.labels[int(sample.pred[place])].name,
            "probability": float(sample.probability[place]),
            "known": float(sample.known[place]),
            "unknown": bool(sample.known[place] < threshold),
            "target": None if label == NO_LABEL else info.labels[label].name,
            **{name: float(value) for name, value in zip(NAMES, sample.stats[place], strict=True)},
        }


def _write(rows: Iterable[Row], target: Path) -> int:
    if target.suffix.lower() != ".parquet":
        raise UsageError(f"{str(target)!r}: this table is a .parquet file; give it such a name")
    refuse_foreign(target, lambda content: content.startswith(b"PAR1") and is_about(target, _ABOUT), "such table")
    count = 0

    def counted() -> Iterator[Row]:
        nonlocal count
        for row in rows:
            count += 1
            yield row

    import duckdb

    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".animals-") as folder:
            made = Path(folder) / "table.parquet"
            write_table(made, counted(), COLUMNS, _ABOUT)
            made.replace(target)
    except OSError as error:
        raise OutputError(f"cannot write {str(target)!r}: {error.strerror or error}") from error
    except duckdb.Error as error:
        raise OutputError(f"cannot write {str(target)!r}: {str(error).splitlines()[0]}") from error
    return count


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds")
