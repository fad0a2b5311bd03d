"""Drift in use: judges the newest photos of the prediction log, and keeps each verdict in it.

A window is judged once: its row is named after its photos and its reference, so judging it again changes nothing, and a
process that dies while it judges has written a whole row or none.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from animal_classification.monitoring.audit import AuditedAccuracy, audited_accuracy
from animal_classification.monitoring.audit_queries import read_audit
from animal_classification.monitoring.baselines import BaselineStore
from animal_classification.monitoring.drift.example_photos import examples_of
from animal_classification.monitoring.drift.judge import FEWEST_IN_WINDOW, WINDOW, DriftJudge
from animal_classification.monitoring.logged_windows import LoggedPhotos, read_window
from animal_classification.prediction_log import drift_records
from animal_classification.prediction_log.database import reading, writing
from animal_classification.prediction_log.database_errors import translated_errors
from animal_classification.prediction_log.drift_records import DriftRecord

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from animal_classification.bundle import Bundle
    from animal_classification.monitoring.drift.sample import DriftWindow
    from animal_classification.monitoring.drift.verdict import Verdict
    from animal_classification.prediction_log.location import LogLocation

EXAMPLES = 6
# An answer counts for the audit's accuracy for so long.
AUDIT_PERIOD = 30 * 86400.0


@dataclass(frozen=True, kw_only=True)
class WindowRules:
    """What is judged together.

    Attributes:
        size: Photos of a window, after thinning.
        max_age: Older photos are not judged any more.
        patience: So long a window waits to become full; after that 50 photos are enough.
        against: ``baseline`` where one is accepted, else ``training``.
    """

    size: int = WINDOW
    max_age: timedelta = timedelta(hours=24)
    patience: timedelta = timedelta(hours=1)
    against: str = "baseline"


@dataclass(frozen=True, kw_only=True)
class ServedVersion:
    """A model as it answers: its bundle, and the name and version that the log has for it."""

    bundle: Bundle
    model: str
    version: str


@dataclass(frozen=True)
class LoggedVerdict:
    """A verdict with what was judged.

    Attributes:
        verdict: Under the names of the log.
        window: The photos.
        judge: Who judged.
        audit: Accuracy by the photos that were looked at, where those are enough.
    """

    verdict: Verdict
    window: DriftWindow
    judge: DriftJudge
    audit: AuditedAccuracy

    @property
    def document(self) -> dict[str, Any]:
        """The one object of the API."""
        told = self.audit.to_json() if self.audit.accuracy is not None else None
        return self.verdict.to_json(told)

    def record(self, now: datetime) -> DriftRecord:
        """As it is kept."""
        verdict, accuracy = self.verdict, self.verdict.accuracy
        assert verdict.since is not None
        assert verdict.until is not None
        chosen = examples_of(verdict, self.window, self.judge.reference, EXAMPLES)
        named = "\n".join((verdict.model, verdict.version, verdict.source, verdict.reference_sha256, *self.window.ids))
        return DriftRecord(
            id=hashlib.sha256(named.encode()).hexdigest()[:36],
            time=now,
            since=datetime.fromtimestamp(verdict.since, now.tzinfo),
            until=datetime.fromtimestamp(verdict.until, now.tzinfo),
            model=verdict.model,
            version=verdict.version,
            source=verdict.source,
            reference=verdict.reference_sha256,
            read=verdict.read,
            used=verdict.used,
            p=verdict.tests.p,
            effects=verdict.tests.effects,
            kind=verdict.kind,
            confirmed=verdict.confirmed,
            harm={"low": accuracy.drop_low, "high": accuracy.drop_high} if accuracy else {},
            score={
                "value": verdict.score,
                "fired": sorted(verdict.fired),
                "examples": [self.window.ids[place] for place in chosen.after.tolist()],
                "verdict": self.document,
            },
            explain=verdict.says,
        )


@dataclass
class LogJudge:
    """Judges the log; keep it, because references are prepared once. From one thread at a time.

    Attributes:
        place: Where the log is.
        rules: What is judged together.
    """

    place: LogLocation
    rules: WindowRules = field(default_factory=WindowRules)
    _judges: dict[tuple[str, str], DriftJudge] = field(default_factory=dict)

    def judge_newest(
        self, engine: Engine, served: ServedVersion, source: str = "", now: datetime | None = None
    ) -> DriftRecord | None:
        """Judge the newest photos that are not judged yet, and keep the verdict.

        Returns:
            The verdict; ``None`` where photos are still too few.

        Raises:
            NoReferenceError: There is nothing to compare with.
            LogDatabaseError: The database cannot be used now.
        """
        moment = now or drift_records.now()
        judge = self.judge_for(engine, served, source)
        with translated_errors(engine.url, rows=False), reading(engine) as connection:
            last = drift_records.newest_verdict(connection, served.model, served.version, source)
        asked = self._asked(served, source, moment)
        if last is not None:
            asked = replace(asked, after=last.until)
        window = self._read(engine, judge, asked, served)
        if not self._is_due(window, judge, moment):
            return None
        fired = frozenset(last.score.get("fired", ())) if last is not None else frozenset()
        made = self._judged(engine, judge, served, window, source, fired)
        record = made.record(moment)
        with translated_errors(engine.url, rows=False), writing(engine) as connection:
            drift_records.add_record(connection, record)
            if self.place.days:
                drift_records.delete_verdicts(connection, moment - timedelta(days=self.place.days))
        return record

    def look_back(
        self, engine: Engine, served: ServedVersion, since: datetime, source: str = ""
    ) -> list[LoggedVerdict]:
        """Judge the last two windows of a period, and keep nothing.

        Raises:
            NoReferenceError: There is nothing to compare with.
            TooFewPhotosError: Fewer than 50 photos are left.
            LogDatabaseError: The database cannot be used now.
        """
        judge = self.judge_for(engine, served, source)
        asked = replace(self._asked(served, source, drift_records.now()), since=since)
        window = self._read(engine, judge, asked, served)
        size = min(self.rules.size, len(judge.reference))
        newest, before = window.newest(size), window.newest(2 * size)
        fired: frozenset[str] = frozenset()
        verdicts = []
        if len(before) >= len(newest) + FEWEST_IN_WINDOW:
            earlier = before.take(np.arange(len(before) - len(newest)))
            verdicts.append(self._judged(engine, judge, served, earlier, source, fired))
            fired = verdicts[0].verdict.fired
        verdicts.append(self._judged(engine, judge, served, newest, source, fired))
        return verdicts

    def judge_for(self, engine: Engine, served: ServedVersion, source: str) -> DriftJudge:
        """With the accepted baseline where there is one.

        Raises:
            NoReferenceError: There is nothing to compare with.
            LogDatabaseError: The database cannot be used now.
        """
        accepted = None
        if self.rules.against == "baseline":
            with translated_errors(engine.url, rows=False), reading(engine) as connection:
                accepted = drift_records.accepted_baseline(connection, served.model, source)
        key = (served.bundle.sha256, accepted.reference if accepted else "")
        if key not in self._judges:
            baseline = BaselineStore(self.place).read(accepted.reference) if accepted else None
            if len(self._judges) >= 2 * EXAMPLES:  # versions come and go
                self._judges.clear()
            self._judges[key] = DriftJudge.of(served.bundle, baseline)
        return self._judges[key]

    def _asked(self, served: ServedVersion, source: str, now: datetime) -> LoggedPhotos:
        return LoggedPhotos(
            model=served.model, version=served.version, source=source, since=now - self.rules.max_age, until=now
        )

    def _read(self, engine: Engine, judge: DriftJudge, asked: LoggedPhotos, served: ServedVersion) -> DriftWindow:
        """The photos, one of each scene."""
        ids = [label.id for label in served.bundle.info.labels]
        dimensions = judge.reference.sample.embedding.shape[1]
        with translated_errors(engine.url, rows=False), reading(engine) as connection:
            window = read_window(connection, asked, ids, dimensions)
        return window.thinned()

    def _is_due(self, window: DriftWindow, judge: DriftJudge, now: datetime) -> bool:
        """A window is full, or has waited for long enough."""
        if len(window) >= min(self.rules.size, len(judge.reference)):
            return True
        if len(window) < FEWEST_IN_WINDOW:
            return False
        return now.timestamp() - float(window.time.min()) >= self.rules.patience.total_seconds()

    def _judged(
        self,
        engine: Engine,
        judge: DriftJudge,
        served: ServedVersion,
        window: DriftWindow,
        source: str,
        fired: frozenset[str],
    ) -> LoggedVerdict:
        used = judge.prepared(window, self.rules.size)
        verdict = judge.judge(used, size=self.rules.size, source=source, fired_before=fired)
        now = drift_records.now().timestamp()
        with translated_errors(engine.url, rows=False), reading(engine) as connection:
            sample = read_audit(connection, now - AUDIT_PERIOD, now, model=served.model, version=served.version)
        return LoggedVerdict(verdict.with_model(served.model, served.version), used, judge, audited_accuracy(sample))
