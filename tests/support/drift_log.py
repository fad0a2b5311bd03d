"""A model with a reference for drift, and predictions of it as a log has them: clean, dark, in bursts."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from animal_classification.imaging.statistics import NAMES
from animal_classification.monitoring.drift.reference import DriftReference
from animal_classification.monitoring.drift.sample import PhotoSample
from animal_classification.prediction_log.record import PredictionRecord
from tests.support.log_records import record
from tests.support.tiny_bundle import write_tiny_bundle

DIMENSIONS = 48
LABELS = ("cat", "dog", "lion")


class Scenes:
    """Photos of three animals, each class around a direction of its own.

    Args:
        seed: Of everything.
    """

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self._centres = np.random.default_rng(99).normal(size=(len(LABELS), DIMENSIONS))

    def sample(self, count: int, *, dark: float = 0.0, new: float = 0.0) -> PhotoSample:
        """So many photos.

        Args:
            count: How many.
            dark: How many standard deviations darker they are; embeddings move a little with it.
            new: The share that shows something else.
        """
        random = self.random
        pred = random.integers(0, len(LABELS), count)
        noise = random.normal(size=(count, DIMENSIONS)) * 2.0
        embedding = self._centres[pred] + noise
        embedding[:, 0] -= dark
        strangers = random.random(count) < new
        embedding[strangers] = random.normal(size=(int(strangers.sum()), DIMENSIONS)) * 3
        known = np.where(strangers, random.uniform(0.0, 0.05, count), random.beta(8, 2, count))
        probability = np.clip(random.beta(12, 1, count) - 0.15 * (dark > 0), 0.05, 1.0)
        stats = random.normal(size=(count, len(NAMES)))
        stats[:, NAMES.index("brightness")] -= dark
        return PhotoSample(
            embedding=embedding.astype(np.float32),
            stats=stats.astype(np.float32),
            pred=pred,
            probability=probability,
            known=known,
        )

    def records(self, count: int, begin: float, **given: Any) -> list[PredictionRecord]:
        """Rows, a second apart.

        Args:
            count: How many.
            begin: When the first came, seconds since 1970.
            given: ``dark`` and ``new`` of :meth:`sample`; else, fields of each row.
        """
        looks = {name: given.pop(name) for name in ("dark", "new") if name in given}
        sample = self.sample(count, **looks)
        return [_row(sample, place, begin + place, given) for place in range(count)]


def reference(count: int = 350, seed: int = 1) -> DriftReference:
    sample = Scenes(seed).sample(count)
    label = np.where(np.random.default_rng(seed).random(count) < 0.95, sample.pred, (sample.pred + 1) % 3)
    return DriftReference(sample=sample, label=label)


def write_watched_bundle(folder: Path, **info: Any) -> Path:
    """The tiny bundle, with a reference of photos as :class:`Scenes` makes them."""
    return write_tiny_bundle(folder, names=LABELS, files={"monitor.npz": reference().pack()}, **info)


def _row(sample: PhotoSample, place: int, moment: float, given: dict[str, Any]) -> PredictionRecord:
    name = LABELS[int(sample.pred[place])]
    values: dict[str, Any] = {
        "id": str(uuid4()),
        "time": moment,
        "photo": uuid4().hex * 2,
        "label": name,
        "label_id": f"{name}-id",
        "probability": float(sample.probability[place]),
        "known": float(sample.known[place]),
        "embedding": halves(sample.embedding[place]),
        "stats": halves(sample.stats[place]),
    }
    return record(**(values | given))


def halves(values: NDArray[np.float32]) -> bytes:
    return values.astype("<f2").tobytes()


def ago(hours: float) -> float:
    return time.time() - hours * 3600


def embedded(count: int, **looks: Any) -> dict[str, Any]:
    """A body for ``POST /v1/drift``: photos that a model has embedded already."""
    sample = Scenes(20).sample(count, **looks)
    return {
        "embeddings": sample.embedding.tolist(),
        "known": sample.known.tolist(),
        "pred": [f"{LABELS[place]}-id" for place in sample.pred],
        "probability": sample.probability.tolist(),
        "stats": sample.stats.tolist(),
    }
