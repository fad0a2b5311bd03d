"""Sums and histograms of the predictions of a period, so that no query depends on how many predictions there are.

Histograms have fixed edges and can be added up. A bin's number never changes its meaning: the numbers are in databases.
Quantiles are interpolated within a bin.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import isfinite
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Counts: TypeAlias = NDArray[np.int64]  # of each bin

# Hundredths up to 0.95; from there on every bin halves the distance to 1 in four steps, down to 1 - 0.0001.
PROBABILITIES = (
    *(number / 100 for number in range(96)),
    *(1 - 0.05 * 2 ** (-step / 4) for step in range(1, 36)),
    1.0,
)
# Eight bins for each doubling, from a millisecond to half an hour.
SECONDS = (0.0, *(0.001 * 2 ** (step / 8) for step in range(8 * 21)))
SHOWN = 20  # equal parts of [0, 1]
_STORED = np.dtype("<u4")
Period = tuple[int, int]  # length and begin, in seconds
# What a prediction must say to be counted.
COUNTED = ("time", "model", "version", "photo", "answer", "unknown", "probability", "latency", "known", "audit")


def empty(edges: Sequence[float]) -> Counts:
    """Of nothing yet."""
    return np.zeros(len(edges) - 1, np.int64)


def bin_of(value: float, edges: Sequence[float]) -> int:
    """The number of the bin that holds a value; what is beyond the edges is in the outermost ones."""
    if not isfinite(value):
        return 0
    return min(max(bisect_right(edges, value) - 1, 0), len(edges) - 2)


def quantile(counts: Counts, edges: Sequence[float], share: float) -> float | None:
    """The value below which a share of the values lies; ``None`` where there are none.

    It is in the bin of the value of that rank, so it is wrong by a bin's width at most: 9 % of a number of seconds,
    0.01 of a probability below 0.95 and a fifth of its distance to 1 above.
    """
    passed = np.cumsum(counts)
    if passed[-1] <= 0:
        return None
    wanted = max(share * float(passed[-1]), 1e-9)
    number = int(np.searchsorted(passed, wanted))
    inside = (wanted - float(passed[number] - counts[number])) / float(counts[number])
    return edges[number] + inside * (edges[number + 1] - edges[number])


def equal_parts(counts: Counts) -> list[int]:
    """Probabilities in ``SHOWN`` equal parts of [0, 1], whose edges are edges of bins too."""
    edges = np.array(PROBABILITIES)
    parts = ((edges[:-1] + edges[1:]) / 2 * SHOWN).astype(np.int64)
    found = np.zeros(SHOWN, np.int64)
    np.add.at(found, parts, counts)
    return [int(number) for number in found]


def to_bytes(counts: Counts) -> bytes:
    """As a database keeps it: unsigned 32-bit integers, little-endian, one for each bin."""
    return np.maximum(counts, 0).astype(_STORED).tobytes()


def from_bytes(data: bytes) -> Counts:
    """What :func:`to_bytes` wrote."""
    return np.frombuffer(data, _STORED).astype(np.int64)


class ModelUse(NamedTuple):
    """How a version of a model was used.

    Attributes:
        predictions: How often.
        first: When first, in seconds since 1970.
        last: When last.
        counted: How many of the predictions count for the audit.
        confidence: Sum of what the model said of these: how probable it is that its answer is right.
    """

    predictions: int
    first: float
    last: float
    counted: int = 0
    confidence: float = 0.0


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
        counts = row["audit"] is not None
        confidence = sign * confidence_of(row) if counts else 0.0
        self.use((row["model"], row["version"]), ModelUse(sign, time, time, sign * counts, confidence))

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
            self.use(model, use)

    def forget_before(self, time: float, left: Mapping[tuple[str, str], ModelUse]) -> None:
        """Nothing older than this is left but ``left``: what says that something else was, is corrected."""
        for model, use in self.models.items():
            older = left.get(model)
            first, last = (older.first, older.last) if older else (max(use.first, time), time)
            self.models[model] = use._replace(first=first, last=use.last if use.last >= time else last)

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

    def use(self, model: tuple[str, str], use: ModelUse) -> None:
        """Count how a model was used."""
        mine = self.models.get(model, use._replace(predictions=0, counted=0, confidence=0.0))
        self.models[model] = ModelUse(
            mine.predictions + use.predictions,
            min(mine.first, use.first),
            max(mine.last, use.last),
            mine.counted + use.counted,
            mine.confidence + use.confidence,
        )


def confidence_of(row: Mapping[Any, Any]) -> float:
    """What the model says of its answer, in [0, 1]; of "unknown", how little it knows the photo."""
    value = float(1.0 - row["known"] if row["unknown"] else row["probability"])
    return value if isfinite(value) else 0.0
