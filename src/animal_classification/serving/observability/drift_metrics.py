"""The newest verdicts on drift, for ``/metrics``: read from the log, so that all workers and replicas say the same."""

# Imported where they are used: SQLAlchemy takes 120 ms to load, and a server without a prediction log needs none of it.

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from animal_classification.prediction_log.database import is_there
from animal_classification.prediction_log.database_errors import LogDatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from animal_classification.prediction_log.drift_records import DriftRecord
    from animal_classification.prediction_log.writer import PredictionLog

READ_EVERY = 15.0  # seconds
KINDS = ("image", "content", "look", "mix")


class DriftCollector(Collector):
    """The newest verdict for each model and source, as gauges.

    Args:
        log: The prediction log.
        sources: Those that may be a label's value, beside the empty one.
        judges: This server is to judge: its age counts from its start where nothing is judged yet.
    """

    def __init__(self, log: PredictionLog, sources: Sequence[str], *, judges: bool) -> None:
        self._log = log
        self._sources = {"", *sources}
        self._judges = judges
        self._began = time.time()
        self._lock = threading.Lock()
        self._read_at = -READ_EVERY
        self._records: Sequence[DriftRecord] = ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """As Prometheus' client asks for it."""
        records = [record for record in self._newest() if record.source in self._sources]
        yield from _families(records)
        whole = [record for record in records if not record.source]
        age = GaugeMetricFamily("animals_drift_age_seconds", "Since the last judged window.", labels=("model",))
        for record in whole:
            age.add_metric((record.model,), max(0.0, time.time() - record.time.timestamp()))
        if not whole and self._judges:
            age.add_metric(("",), time.time() - self._began)
        yield age

    def _newest(self) -> Sequence[DriftRecord]:
        from animal_classification.prediction_log.database import reading
        from animal_classification.prediction_log.drift_records import newest_of_each

        with self._lock:
            if time.monotonic() < self._read_at + READ_EVERY or not is_there(self._log.place.database):
                return self._records
            self._read_at = time.monotonic()
            try:
                with reading(self._log.database()) as connection:
                    self._records = newest_of_each(connection)
            except (LogDatabaseError, OSError):  # what was read before holds on; its age says how old it is
                pass
            return self._records


def _families(records: Iterable[DriftRecord]) -> Iterator[GaugeMetricFamily]:
    version = ("model", "version")
    score = GaugeMetricFamily(
        "animals_drift_score",
        "0 none, 0.2 seen once or harmless, above 0.25 confirmed and harmful.",
        labels=(*version, "kind", "source"),
    )
    effect = GaugeMetricFamily(
        "animals_drift_effect", "How large the difference is, in its own unit.", labels=(*version, "kind", "source")
    )
    photos = GaugeMetricFamily(
        "animals_drift_window_photos", "Photos of the last window.", labels=(*version, "source", "what")
    )
    accuracy = GaugeMetricFamily("animals_accuracy", "Of the answers.", labels=(*version, "source", "how"))
    for record in records:
        named = (record.model, record.version)
        for kind in KINDS:
            value = record.value if kind == record.kind else 0.0
            score.add_metric((*named, kind, record.source), value)
            effect.add_metric((*named, kind, record.source), float(record.effects.get(kind, 0.0)))
        for what, count in (("read", record.read), ("used", record.used)):
            photos.add_metric((*named, record.source, what), count)
        for how, share in _accuracies(record):
            accuracy.add_metric((*named, record.source, how), share)
    yield from (score, effect, photos, accuracy)


def _accuracies(record: DriftRecord) -> Iterator[tuple[str, float]]:
    """The audit is of all photos of a model, whatever their source."""
    told = record.verdict.get("accuracy", {})
    if told.get("audit") and not record.source:
        yield "audit", float(told["audit"]["accuracy"])
    if told.get("estimated"):
        low, high = told["estimated"]
        yield "estimate_low", float(low)
        yield "estimate_high", float(high)
