"""What Prometheus hears of the models (a contract: docs/serve.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

if TYPE_CHECKING:
    from animal_classification.bundle import BundleInfo
    from animal_classification.inference import Prediction

MAX_LABELS = 2000
OTHER, UNKNOWN = "other", "unknown"
_SHARES = tuple(step / 20 for step in range(1, 21))
_DIFFERENCES = (-0.5, -0.2, -0.1, -0.05, -0.02, 0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.035, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


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
            buckets=_SECONDS,
            registry=registry,
        )

    def answers(self, info: BundleInfo, sha256: str) -> VersionMetrics:
        """A model answers from now on; what counts its answers."""
        self._info.labels(info.name, info.version, sha256).set(1)
        unknown = self._unknown.labels(info.name, info.version)
        return VersionMetrics(info, self._predictions, unknown, self._confidence)

    def answers_no_more(self, info: BundleInfo, sha256: str) -> None:
        """A model has been taken over from."""
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
