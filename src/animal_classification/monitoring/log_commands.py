"""What ``animals monitor drift --since`` and ``accept`` do, without a terminal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from animal_classification.errors import UsageError
from animal_classification.monitoring import logged_windows
from animal_classification.monitoring.baselines import BaselineStore
from animal_classification.monitoring.drift.commands import open_model
from animal_classification.monitoring.drift.judge import TooFewPhotosError
from animal_classification.monitoring.drift.reference import FEWEST, MOST, NO_LABEL, DriftReference
from animal_classification.monitoring.log_judge import LoggedVerdict, LogJudge, ServedVersion, WindowRules
from animal_classification.monitoring.logged_windows import LoggedPhotos, read_window
from animal_classification.prediction_log import drift_records
from animal_classification.prediction_log.database import connect, reading, writing
from animal_classification.prediction_log.database_errors import translated_errors
from animal_classification.prediction_log.drift_records import ACCEPTED, DriftRecord
from animal_classification.prediction_log.migrate import migrate

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from animal_classification.monitoring.drift.sample import DriftWindow
    from animal_classification.prediction_log.location import LogLocation


@dataclass(frozen=True, kw_only=True)
class LogRequest:
    """Which predictions of which log.

    Attributes:
        place: Where the log is.
        model: The model that answered; ``NAME=MODEL`` where it is served under another name.
        since: How many seconds to look back.
        source: The camera or site; empty for all.
        size: Photos of a window.
        against: ``baseline`` or ``training``.
    """

    place: LogLocation
    model: str
    since: float
    source: str = ""
    size: int = 200
    against: str = "baseline"


def judge_log(asked: LogRequest) -> list[LoggedVerdict]:
    """Judge the last two windows of a period; nothing is written.

    Raises:
        NoReferenceError: There is nothing to compare with.
        TooFewPhotosError: Fewer than 50 photos are left.
        UsageError: There is no log, or the model is not in it.
        LogDatabaseError: The database cannot be used now.
    """
    engine = _opened(asked.place)
    try:
        since = drift_records.now() - timedelta(seconds=asked.since)
        rules = WindowRules(size=asked.size, max_age=timedelta(seconds=asked.since), against=asked.against)
        return LogJudge(asked.place, rules).look_back(engine, _served(engine, asked, since), since, asked.source)
    finally:
        engine.dispose()


@dataclass(frozen=True)
class AcceptedBaseline:
    """A baseline that was accepted, and where its arrays are."""

    record: DriftRecord
    where: str

    def to_json(self) -> dict[str, Any]:
        """For scripts."""
        kept = self.record
        return {
            "model": kept.model,
            "version": kept.version,
            "source": kept.source,
            "since": kept.since.isoformat(timespec="seconds"),
            "until": kept.until.isoformat(timespec="seconds"),
            "photos": kept.used,
            "sha256": kept.reference,
            "file": self.where,
            **{name: kept.score[name] for name in ("who", "why")},
        }


def accept_baseline(asked: LogRequest, who: str, why: str) -> AcceptedBaseline:
    """Take the photos of a period as usual: from now on, new ones are compared with them.

    Args:
        asked: Which; at most 2,000 photos, drawn evenly over the period.
        who: Who accepts them.
        why: On what grounds.

    Raises:
        TooFewPhotosError: Fewer than 100 photos are left.
        UsageError: There is no log, the model is not in it, or who or why is empty.
        LogDatabaseError: The database cannot be used now.
        OutputError: The arrays cannot be written.
    """
    if not who.strip() or not why.strip():
        raise UsageError("a baseline needs a person who accepts it and a reason: --who and --why")
    engine = _opened(asked.place)
    try:
        return _accepted(engine, asked, who.strip(), why.strip())
    finally:
        engine.dispose()


def _accepted(engine: Engine, asked: LogRequest, who: str, why: str) -> AcceptedBaseline:
    now = drift_records.now()
    since = now - timedelta(seconds=asked.since)
    served = _served(engine, asked, since)
    window = _whole_window(engine, asked, served, since)
    if len(window) < FEWEST:
        raise TooFewPhotosError(len(window), window.read)
    window = window.take(np.unique(np.linspace(0, len(window) - 1, MOST).astype(int)))
    sha = np.array([int(photo[:16], 16) for photo in window.photo], np.uint64)
    label = np.full(len(window), NO_LABEL)
    reference = DriftReference(sample=window.sample, label=label, sha=sha, kind="accepted")
    # The file first: a row without its file would stop the monitor.
    where = BaselineStore(asked.place).write(reference)
    record = DriftRecord(
        id=reference.sha256[:36],
        time=now,
        since=datetime.fromtimestamp(float(window.time.min()), now.tzinfo),
        until=datetime.fromtimestamp(float(window.time.max()), now.tzinfo),
        model=served.model,
        version=served.version,
        source=asked.source,
        reference=reference.sha256,
        read=window.read,
        used=len(window),
        p={},
        effects={},
        kind=ACCEPTED,
        confirmed=False,
        harm={},
        score={"who": who, "why": why},
        explain=f"accepted by {who}: {why}",
    )
    with translated_errors(engine.url), writing(engine) as connection:
        drift_records.add_record(connection, record)
    return AcceptedBaseline(record, where)


def _whole_window(engine: Engine, asked: LogRequest, served: ServedVersion, since: datetime) -> DriftWindow:
    photos = LoggedPhotos(model=served.model, version=served.version, since=since, source=asked.source, most=4 * MOST)
    ids = [label.id for label in served.bundle.info.labels]
    with translated_errors(engine.url, rows=False), reading(engine) as connection:
        return read_window(connection, photos, ids).newest(2 * MOST).thinned()


def _served(engine: Engine, asked: LogRequest, since: datetime) -> ServedVersion:
    """The model of that name that answered last, with the bundle that was given.

    Raises:
        UsageError: None did.
    """
    name, separator, reference = asked.model.partition("=")
    bundle = open_model(reference if separator else asked.model)
    name = name if separator else bundle.info.name
    with translated_errors(engine.url, rows=False), reading(engine) as connection:
        version = logged_windows.newest_version(connection, name, since)
        if version is not None:
            return ServedVersion(bundle=bundle, model=name, version=version)
        there = logged_windows.models_since(connection, since)
    named = ", ".join(f"{model} ({count})" for model, count in there) or "nothing"
    raise UsageError(
        f"the log has no answers of {name!r} in this time, but of: {named}; look further back with --since, or name "
        "the model with --model, as NAME=MODEL where it is served under another name"
    )


def _opened(place: LogLocation) -> Engine:
    engine = connect(place.database, make=False)
    try:
        migrate(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine
