"""Samples of photos out of nothing: three classes in eight dimensions, for tests that need no photo."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from animal_classification.monitoring.drift.judge import DriftJudge
from animal_classification.monitoring.drift.reference import DriftReference
from animal_classification.monitoring.drift.sample import DriftWindow, PhotoSample

LABELS = ("cat", "dog", "lion")


def made_sample(
    count: int,
    seed: int,
    *,
    dark: float = 0.0,
    strangers: float = 0.0,
    shares: tuple[float, ...] = (0.4, 0.3, 0.3),
    mistakes: float = 0.1,
) -> tuple[PhotoSample, NDArray[np.int64]]:
    """Photos and their true labels.

    Args:
        count: How many.
        seed: Of chance.
        dark: Deviations by which the brightness is lower.
        strangers: Share of photos that the model does not know; their label is -1.
        shares: Of the classes.
        mistakes: Share of wrong answers.
    """
    generator = np.random.default_rng(seed)
    label = generator.choice(3, count, p=shares)
    embedding = np.eye(3, 16)[label] + generator.normal(0, 0.25, (count, 16))
    strange = np.arange(count) < round(strangers * count)
    embedding[strange] = generator.normal(0, 0.5, (int(strange.sum()), 16))
    wrong = generator.random(count) < mistakes
    stats = generator.normal(0, 1, (count, 12)) * 5 + 50
    stats[:, 0] -= 5 * dark
    sample = PhotoSample(
        embedding=embedding.astype(np.float32),
        stats=stats.astype(np.float32),
        pred=np.where(wrong, (label + 1) % 3, label),
        probability=np.where(wrong, generator.uniform(0.4, 0.8, count), generator.uniform(0.7, 1.0, count)),
        known=np.where(strange, generator.uniform(0.0, 0.3, count), generator.uniform(0.3, 1.0, count)),
    )
    return sample, np.where(strange, -1, label)


def made_reference(count: int = 300, seed: int = 0, *, mistakes: float = 0.1) -> DriftReference:
    sample, label = made_sample(count, seed, mistakes=mistakes)
    return DriftReference(sample=sample, label=label)


def made_judge(reference: DriftReference | None = None) -> DriftJudge:
    found = reference or made_reference()
    return DriftJudge(reference=found, labels=LABELS, model="zoo", version="3", measured=found)


def as_window(sample: PhotoSample, *, source: tuple[str, ...] = (), photo: tuple[str, ...] = ()) -> DriftWindow:
    count = len(sample)
    return DriftWindow(
        sample=sample,
        ids=tuple(f"p{number}" for number in range(count)),
        time=1.7e9 + np.arange(count, dtype=np.float64),
        source=source,
        photo=photo,
    )
