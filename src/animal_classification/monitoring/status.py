"""How a model in use is doing: one object, from the log, for the terminal, for scripts and for the page."""

# Imported where it is used: the queries load SQLAlchemy, which `--help` and the parsing of a time do not need.

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from animal_classification.common.durations import seconds_of
from animal_classification.errors import UsageError
from animal_classification.prediction_log.database import connect, reading
from animal_classification.prediction_log.database_errors import shown, translated_errors
from animal_classification.prediction_log.migrate import current, newest
from animal_classification.prediction_log.period_sums import PROBABILITIES, SECONDS, equal_parts, quantile
from animal_classification.prediction_log.periods import Window
from animal_classification.prediction_log.spool import waiting

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from animal_classification.prediction_log.location import LogLocation
    from animal_classification.prediction_log.period_sums import Sums

__all__ = ["read_status", "seconds_of", "status"]

MOST_LABELS = 20
SHOWN_LABELS = 6  # over time, where more lines than that cannot be told apart
_SHARES = (0.5, 0.95, 0.99)
_EPOCH = datetime.fromtimestamp(0, UTC)


def read_status(place: LogLocation, since: float, *, now: datetime | None = None) -> dict[str, Any]:
    """What the log says of the last ``since`` seconds, and which rows still wait to be written to it.

    Raises:
        LogDatabaseError: The database cannot be used.
        UsageError: There is no log.
    """
    engine = connect(place.database, make=False)
    try:
        return status(engine, place, since, now=now)
    finally:
        engine.dispose()


def status(engine: Engine, place: LogLocation, since: float, *, now: datetime | None = None) -> dict[str, Any]:
    """As :func:`read_status`, on a database that is open."""
    revision = _revision(engine)
    window = Window.of((now or datetime.now(UTC)).timestamp(), since)
    with translated_errors(engine.url, rows=False), reading(engine) as connection:
        measured = _measured(connection, window)
        measured["accuracy"] = _audited(connection, window)
    held = waiting(place.spool)
    return {
        "since": _in_utc(window.since),
        "until": _in_utc(window.until),
        **measured,
        "waiting": {"bytes": held.bytes, "files": held.files, "seconds": round(held.oldest, 1)},
        "database": {
            "url": engine.url.render_as_string(hide_password=True),
            "revision": revision,
            "newest_revision": newest(),
        },
    }


def _revision(engine: Engine) -> str:
    revision = current(engine)
    if revision is None:
        raise UsageError(
            f"there is no prediction log in {shown(engine.url)} yet: a server with --prediction-log makes it"
        )
    if revision < newest():
        raise UsageError(
            f"the tables in {shown(engine.url)} are at revision {revision} and this version reads {newest()}: "
            "bring them up to date with animals monitor migrate, or start a server of this version"
        )
    if revision > newest():
        raise UsageError(
            f"the tables in {shown(engine.url)} are at revision {revision}, of a newer version, and this one reads "
            f"{newest()}: update animals"
        )
    return revision


def _measured(connection: Connection, window: Window) -> dict[str, Any]:
    from animal_classification.monitoring import queries

    parts = queries.split_by_part(queries.periods(connection, window), window)
    total = queries.total_of(parts)
    count = total.predictions
    named = sorted(total.labels.items(), key=lambda item: (-item[1], item[0]))[:MOST_LABELS]
    return {
        "predictions": count,
        "photos": total.photos,
        "per_minute": round(60 * count / (window.until - window.since), 3),
        "unknown": {"predictions": total.unknown, "share": _share(total.unknown, count)},
        "models": _models(total),
        "labels": [{"label": name, "predictions": n, "share": _share(n, count)} for name, n in named],
        "confidence": _confidence(total),
        "latency": _latency(total),
        "feedback": _feedback(queries.feedback_counts(connection, window)),
        "over_time": [_part(begin, part) for begin, part in zip(window.parts, parts, strict=True)],
        "labels_over_time": {name: [part.labels[name] for part in parts] for name, _ in named[:SHOWN_LABELS]},
    }


def _audited(connection: Connection, window: Window) -> dict[str, Any]:
    """Accuracy by the photos that were chosen by chance."""
    from animal_classification.monitoring.audit import audited_accuracy
    from animal_classification.monitoring.audit_queries import read_audit

    return audited_accuracy(read_audit(connection, window.since, window.until)).to_json()


def _models(total: Sums) -> list[dict[str, Any]]:
    busiest_first = sorted(total.models.items(), key=lambda item: (-item[1].predictions, item[0]))
    return [
        {
            "model": name,
            "version": version,
            "predictions": use.predictions,
            "first": _in_utc(use.first),
            "last": _in_utc(use.last),
        }
        for (name, version), use in busiest_first
    ]


def _confidence(total: Sums) -> dict[str, Any]:
    low, median = (_rounded(quantile(total.probabilities, PROBABILITIES, share)) for share in (0.05, 0.5))
    return {
        "mean": _mean(total.probability, total.predictions),
        "p5": low,
        "p50": median,
        "histogram": equal_parts(total.probabilities),
    }


def _latency(total: Sums) -> dict[str, Any]:
    shares = {f"p{share * 100:.0f}": _rounded(quantile(total.latencies, SECONDS, share)) for share in _SHARES}
    return {"mean": _mean(total.latency, total.predictions), **shares}


def _feedback(said: dict[str, int]) -> dict[str, Any]:
    reviewed = said["confirmed"] + said["corrected"] + said["none"]
    return {
        "predictions": reviewed,
        "confirmed": said["confirmed"],
        "corrected": said["corrected"],
        "none": said["none"],
        # Of those that were looked at, which are the doubtful ones: it says nothing of the others.
        "agreement": _share(said["agree"], reviewed),
        "biased": True,
    }


def _part(begin: int, part: Sums) -> dict[str, Any]:
    return {
        "time": _in_utc(begin),
        "predictions": part.predictions,
        "unknown": part.unknown,
        "latency": _mean(part.latency, part.predictions),
    }


def _in_utc(seconds: float) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).isoformat(timespec="seconds")  # also what Windows has no time for


def _mean(total: float, count: int) -> float | None:
    return _rounded(total / count) if count else None


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None


def _rounded(value: Any) -> float | None:
    return None if value is None else round(float(value), 6)
