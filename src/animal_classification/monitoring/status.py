"""How a model in use does: one object, from the log, for the terminal, for scripts and for the page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from animal_classification.errors import UsageError
from animal_classification.prediction_log.database import connect, shown, troubles
from animal_classification.prediction_log.migrating import current, newest
from animal_classification.prediction_log.spool import waiting

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from animal_classification.prediction_log.places import LogPlace

MOST_LABELS = 20
SHOWN_LABELS = 6  # over time, where more lines than that cannot be told apart
PARTS = 48
_UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SHARES = (0.5, 0.95, 0.99)


def seconds_of(text: str) -> float:
    """A stretch of time in words.

    >>> seconds_of("24h")
    86400.0

    Raises:
        UsageError: It is none.
    """
    number, unit = text.strip()[:-1], text.strip()[-1:]
    try:
        seconds = float(number) * _UNITS[unit]
    except (ValueError, KeyError):
        seconds = 0.0
    if not 60 <= seconds <= 9999 * _UNITS["w"]:
        raise UsageError(f"a time is a number and m, h, d or w, from 1m to 9999w, such as 24h; not {text!r}")
    return seconds


def read_status(place: LogPlace, since: float, *, now: datetime | None = None) -> dict[str, Any]:
    """What the log says of the last ``since`` seconds, and what waits to get into it.

    Raises:
        LogDatabaseError: The database cannot be used.
        UsageError: There is no log.
    """
    engine = connect(place.database, make=False)
    try:
        return status(engine, place, since, now=now)
    finally:
        engine.dispose()


def status(engine: Engine, place: LogPlace, since: float, *, now: datetime | None = None) -> dict[str, Any]:
    """As :func:`read_status`, on a database that is open."""
    from animal_classification.monitoring.queries import Window

    until = now or datetime.now(UTC)
    revision = current(engine)
    if revision is None:
        raise UsageError(
            f"there is no prediction log in {shown(engine.url)} yet: a server with --prediction-log makes it"
        )
    window = Window(until - timedelta(seconds=since), until)
    with troubles(engine.url), engine.connect() as connection:
        found = _found(connection, window)
    held = waiting(place.spool)
    return {
        "since": window.since.isoformat(timespec="seconds"),
        "until": window.until.isoformat(timespec="seconds"),
        **found,
        "waiting": {"bytes": held.bytes, "files": held.files, "seconds": round(held.oldest, 1)},
        "database": {
            "url": engine.url.render_as_string(hide_password=True),
            "revision": revision,
            "newest_revision": newest(),
        },
    }


def _found(connection: Connection, window: Any) -> dict[str, Any]:
    from animal_classification.monitoring import queries
    from animal_classification.prediction_log.tables import predictions

    sums = queries.totals(connection, window)
    count = int(sums["predictions"])
    named = queries.labels(connection, window, MOST_LABELS)
    names = [name for name, _ in named[:SHOWN_LABELS]]
    times = queries.over_time(connection, window, PARTS)
    p50, p95, p99 = queries.percentiles(connection, window, predictions.c.latency, _SHARES, count)
    low, median = queries.percentiles(connection, window, predictions.c.probability, (0.05, 0.5), count)
    said = queries.words(connection, window)
    reviewed = said["confirmed"] + said["corrected"] + said["none"]
    return {
        "predictions": count,
        "photos": int(sums["photos"]),
        "per_minute": round(60 * count / window.seconds, 3),
        "unknown": {"predictions": int(sums["unknown"]), "share": _share(int(sums["unknown"]), count)},
        "models": [_model(row) for row in queries.versions(connection, window)],
        "labels": [{"label": name, "predictions": n, "share": _share(n, count)} for name, n in named],
        "confidence": {
            "mean": _rounded(sums["confidence"]),
            "p5": _rounded(low),
            "p50": _rounded(median),
            "histogram": queries.confidence(connection, window),
        },
        "latency": {
            "mean": _rounded(sums["latency"]),
            "p50": _rounded(p50),
            "p95": _rounded(p95),
            "p99": _rounded(p99),
        },
        "feedback": {
            "predictions": reviewed,
            "confirmed": said["confirmed"],
            "corrected": said["corrected"],
            "none": said["none"],
            "agreement": _share(said["agree"], reviewed),
        },
        "over_time": [_moment(part) for part in times],
        "labels_over_time": queries.labels_over_time(connection, window, PARTS, names),
    }


def _model(row: dict[str, Any]) -> dict[str, Any]:
    return row | {name: row[name].isoformat(timespec="seconds") for name in ("first", "last")}


def _moment(part: dict[str, Any]) -> dict[str, Any]:
    time = datetime.fromtimestamp(part["time"], UTC).isoformat(timespec="seconds")
    return part | {"time": time, "latency": _rounded(part["latency"])}


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None


def _rounded(value: Any) -> float | None:
    return None if value is None else round(float(value), 6)
