"""What Prometheus reads at ``/metrics`` (a contract: docs/serve.md), in one process and over several.

Every label value comes from a list that the server knows: routes, methods, statuses, the model's labels. Whatever else
a client sends is counted as ``other``, so that nobody can make the number of series grow.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from animal_classification.bundle import BundleInfo
    from animal_classification.inference import Prediction

# Where this is set before the import, prometheus_client keeps its values in files of that folder (see supervisor).
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SECONDS = (0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_STAGES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.035, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
MAX_LABELS = 2000
OTHER, UNKNOWN = "other", "unknown"
_SHARES = tuple(step / 20 for step in range(1, 21))
_DIFFERENCES = (-0.5, -0.2, -0.1, -0.05, -0.02, 0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


class ServerMetrics:
    """The metrics of one application.

    Attributes:
        models: Those about the models.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        disable_created_metrics()  # type: ignore[no-untyped-call]  # they double the series
        self._requests = Counter(
            "animals_http_requests", "HTTP requests answered.", ("route", "method", "status"), registry=registry
        )
        self._request_seconds = Histogram(
            "animals_http_request_duration_seconds",
            "From a request's head to the end of its answer.",
            ("route", "method"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._in_progress = Gauge(
            "animals_http_requests_in_progress",
            "HTTP requests being answered.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._stages = Histogram(
            "animals_inference_duration_seconds",
            "Decoding of a photo, or inference of a batch.",
            ("stage",),
            buckets=_STAGES,
            registry=registry,
        )
        self._batch = Histogram(
            "animals_batch_size", "Photos in a batch.", buckets=(1, 2, 3, 4, 8, 16), registry=registry
        )
        self._depth = Gauge(
            "animals_queue_depth", "Photos that wait for a thread.", multiprocess_mode="livesum", registry=registry
        )
        self._wait = Histogram(
            "animals_queue_wait_seconds",
            "From a photo's arrival to a thread for it.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.models = ModelMetrics(registry)
        self._rejected = Counter("animals_rejected", "Requests and photos refused.", ("reason",), registry=registry)
        self._lookups = Counter("animals_cache_lookups", "Photos looked up.", ("result",), registry=registry)
        self._log_rows = Counter(
            "animals_log_rows", "Predictions, by what became of them in the log.", ("result",), registry=registry
        )
        self._log_waiting = Gauge(
            "animals_log_waiting_bytes",
            "Predictions that wait on disk for the log's database.",
            multiprocess_mode="livemax",  # each worker sees all that waits
            registry=registry,
        )
        self._keys_unreadable = Gauge(
            "animals_keys_file_unreadable",
            "1 while the file of API keys has changed and cannot be read, so that the keys read before hold on.",
            multiprocess_mode="livemax",
            registry=registry,
        )
        self._drift_failures = Counter(
            "animals_drift_failures", "Rounds in which drift could not be judged.", ("reason",), registry=registry
        )
        self._watched: Collector | None = None
        self._decode, self._infer = self._stages.labels("decode"), self._stages.labels("infer")

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure ``decode`` or ``infer``."""
        started = time.perf_counter()
        try:
            yield
        finally:
            (self._decode if name == "decode" else self._infer).observe(time.perf_counter() - started)

    def waited(self, seconds: float) -> None:
        """A photo waited so long for a thread."""
        self._wait.observe(seconds)

    def looked_up(self, *, found: bool) -> None:
        """A photo was looked up in the response cache."""
        self._lookups.labels("hit" if found else "miss").inc()

    def batch(self, size: int) -> None:
        """A batch of photos goes to the engine."""
        self._batch.observe(size)

    def queued(self, depth: int) -> None:
        """So many photos wait."""
        self._depth.set(depth)

    def rejected(self, reason: str) -> None:
        """A request, or one photo of it, was refused; ``reason`` is one of the server's own words."""
        self._rejected.labels(reason).inc()

    def refused(self, status: int, reason: str) -> None:
        """The protocol refused a connection before there was a request for a route."""
        self.rejected(reason)
        self._requests.labels(OTHER, OTHER, str(status)).inc()

    def log_rows(self, what: str, count: int) -> None:
        """So many predictions were ``written`` to the log, ``dropped``, ``refused`` or ``damaged``."""
        self._log_rows.labels(what).inc(count)

    def log_waiting(self, size: int) -> None:
        """So many bytes wait for the log's database."""
        self._log_waiting.set(size)

    def keys_file_readable(self, readable: bool) -> None:
        """The file of API keys was looked at."""
        self._keys_unreadable.set(0 if readable else 1)

    def drift_failed(self, reason: str) -> None:
        """Drift could not be judged; ``reason`` is one of the server's own words."""
        self._drift_failures.labels(reason).inc()

    def watch(self, verdicts: Collector) -> None:
        """Have values read where they are asked for: from a database that all workers share."""
        self._watched = verdicts

    def began(self) -> None:
        """A request came."""
        self._in_progress.inc()

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request was answered."""
        method = method if method in METHODS else OTHER
        self._in_progress.dec()
        self._requests.labels(route, method, str(status)).inc()
        self._request_seconds.labels(route, method).observe(seconds)

    def render(self) -> bytes:
        """Everything in Prometheus' text format, summed over all workers."""
        everything = self._registry
        if SHARED_FOLDER in os.environ:
            everything = CollectorRegistry()
            MultiProcessCollector(everything)  # type: ignore[no-untyped-call]
        text = generate_latest(everything)
        if self._watched is None:
            return text
        watched = CollectorRegistry()
        watched.register(self._watched)
        return text + generate_latest(watched)


class ModelMetrics:
    """Which models answer, and how."""

    def __init__(self, registry: CollectorRegistry) -> None:
        by_version = ("model", "version")
        self._predictions = Counter(
            "animals_predictions", "Photos answered, by label.", (*by_version, "label"), registry=registry
        )
        self._unknown = Counter("animals_unknown", "Photos that are none of the labels.", by_version, registry=registry)
        self._confidence = Histogram(
            "animals_prediction_confidence",
            "Probability of the most probable label.",
            buckets=_SHARES,
            registry=registry,
        )
        self._info = Gauge(
            "animals_model_info",
            "The models that answer; 0 for one that does not any more.",
            (*by_version, "sha256"),
            multiprocess_mode="livemax",
            registry=registry,
        )
        self._changes = Counter(
            "animals_model_changes",
            "What came of models that were to take over.",
            ("model", "result"),
            registry=registry,
        )
        self._shadow = Counter(
            "animals_shadow", "Photos that a shadow was to be compared on.", ("model", "result"), registry=registry
        )
        self._shadow_difference = Histogram(
            "animals_shadow_confidence_difference",
            "The shadow's probability less that of the model that answered.",
            ("model",),
            buckets=_DIFFERENCES,
            registry=registry,
        )
        self._shadow_seconds = Histogram(
            "animals_shadow_duration_seconds",
            "Decoding and inference of the same photos, by both.",
            ("model", "by"),
            buckets=_STAGES,
            registry=registry,
        )

    def answers(self, info: BundleInfo, sha256: str) -> VersionMetrics:
        """A model answers from now on; returns what counts its answers."""
        self._info.labels(info.name, info.version, sha256).set(1)
        unknown = self._unknown.labels(info.name, info.version)
        return VersionMetrics(info, self._predictions, unknown, self._confidence)

    def answers_no_more(self, info: BundleInfo, sha256: str) -> None:
        """A model answers no more."""
        self._info.labels(info.name, info.version, sha256).set(0)

    def changed(self, name: str, result: str) -> None:
        """A model was ``swapped``, ``refused``, or ``unreachable``."""
        self._changes.labels(name, result).inc()

    def shadow_dropped(self, name: str) -> None:
        """A photo found no room in the shadow's queue."""
        self._shadow.labels(name, "dropped").inc()

    def shadow_failed(self, name: str) -> None:
        """The shadow failed on a photo."""
        self._shadow.labels(name, "failed").inc()

    def shadow_compared(
        self, name: str, agreed: bool, difference: float, answer_seconds: float, shadow_seconds: float
    ) -> None:
        """Both gave an answer."""
        self._shadow.labels(name, "agreed" if agreed else "differed").inc()
        self._shadow_difference.labels(name).observe(difference)
        self._shadow_seconds.labels(name, "answer").observe(answer_seconds)
        self._shadow_seconds.labels(name, "shadow").observe(shadow_seconds)


class VersionMetrics:
    """Counts the answers of one version; from any thread."""

    def __init__(self, info: BundleInfo, predictions: Counter, unknown: Counter, confidence: Histogram) -> None:
        self._name, self._version = info.name, info.version
        self._labels = frozenset(label.name for label in info.labels[:MAX_LABELS])
        self._predictions = predictions
        self._unknown = unknown
        self._confidence = confidence

    def predicted(self, prediction: Prediction) -> None:
        """A photo was named."""
        label = prediction.label if prediction.label in self._labels else OTHER
        if prediction.unknown:
            label = UNKNOWN
            self._unknown.inc()
        self._predictions.labels(self._name, self._version, label).inc()
        self._confidence.observe(prediction.probability)
