"""Predictions added up: what is kept of each period, so that no question depends on how many there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from math import isfinite
from typing import Any, NamedTuple

from animal_classification.prediction_log.histograms import (
    PROBABILITIES,
    SECONDS,
    Counts,
    bin_of,
    empty,
    from_bytes,
    to_bytes,
)

Period = tuple[int, int]  # length and begin, in seconds
# What a prediction must say to be counted.
COUNTED = ("time", "model", "version", "photo", "answer", "unknown", "probability", "latency")


class ModelUse(NamedTuple):
    """How a version of a model was used: how often, and when first and last, in seconds since 1970."""

    predictions: int
    first: float
    last: float


@dataclass(slots=True)
class Sums:
    """Predictions added up.

    Attributes:
        predictions: How many.
        unknown: How many of them are none of the labels.
        photos: How many photos were last seen here.
        probability: Sum of the probabilities.
        latency: Sum of the seconds that the answers took.
        probabilities: Histogram over ``histograms.PROBABILITIES``.
        latencies: Histogram over ``histograms.SECONDS``.
        labels: How often each answer was given (a label, a group or "animal"), unknown photos left out.
        models: By name and version.
    """

    predictions: int = 0
    unknown: int = 0
    photos: int = 0
    probability: float = 0.0
    latency: float = 0.0
    probabilities: Counts = field(default_factory=partial(empty, PROBABILITIES))
    latencies: Counts = field(default_factory=partial(empty, SECONDS))
    labels: Counter[str] = field(default_factory=Counter)
    models: dict[tuple[str, str], ModelUse] = field(default_factory=dict)

    def add(self, row: Mapping[Any, Any], sign: int = 1) -> None:
        """Count a prediction, or with ``sign=-1`` one that goes; a row of the table, or at least ``COUNTED``."""
        probability, latency, time = row["probability"], row["latency"], row["time"].timestamp()
        self.predictions += sign
        self.unknown += sign * bool(row["unknown"])
        self.probability += sign * probability if isfinite(probability) else 0.0
        self.latency += sign * latency if isfinite(latency) else 0.0
        self.probabilities[bin_of(probability, PROBABILITIES)] += sign
        self.latencies[bin_of(latency, SECONDS)] += sign
        if not row["unknown"]:
            self.labels[row["answer"]] += sign
        self._use((row["model"], row["version"]), ModelUse(sign, time, time))

    def merge(self, other: Sums) -> None:
        """Count what another period counted, too."""
        self.predictions += other.predictions
        self.unknown += other.unknown
        self.photos += other.photos
        self.probability += other.probability
        self.latency += other.latency
        self.probabilities += other.probabilities
        self.latencies += other.latencies
        for label, count in other.labels.items():
            self.labels[label] += count
        for model, use in other.models.items():
            self._use(model, use)

    def forget_before(self, time: float) -> None:
        """Nothing older than this is left: what says that something was, is corrected."""
        for model, use in self.models.items():
            self.models[model] = use._replace(first=max(use.first, time), last=max(use.last, time))

    def to_row(self, period: Period) -> dict[str, Any]:
        """For the table of sums."""
        return {
            "seconds": period[0],
            "start": period[1],
            "predictions": self.predictions,
            "unknown": self.unknown,
            "photos": self.photos,
            "probability": self.probability,
            "latency": self.latency,
            "probabilities": to_bytes(self.probabilities),
            "latencies": to_bytes(self.latencies),
            "labels": {label: count for label, count in sorted(self.labels.items()) if count},
            "models": [[*model, *use] for model, use in sorted(self.models.items()) if use.predictions],
        }

    @classmethod
    def from_row(cls, row: Mapping[Any, Any]) -> Sums:
        """What :meth:`to_row` wrote."""
        return cls(
            predictions=row["predictions"],
            unknown=row["unknown"],
            photos=row["photos"],
            probability=row["probability"],
            latency=row["latency"],
            probabilities=from_bytes(row["probabilities"]),
            latencies=from_bytes(row["latencies"]),
            labels=Counter(row["labels"]),
            models={(name, version): ModelUse(*use) for name, version, *use in row["models"]},
        )

    def _use(self, model: tuple[str, str], use: ModelUse) -> None:
        mine = self.models.get(model, use._replace(predictions=0))
        self.models[model] = ModelUse(
            mine.predictions + use.predictions, min(mine.first, use.first), max(mine.last, use.last)
        )
