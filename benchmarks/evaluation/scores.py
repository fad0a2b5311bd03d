"""What might tell a photo of none of the classes: every score is higher for photos of the classes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from animal_classification.bundle import load
from animal_classification.evaluation.calibration import calibrated
from animal_classification.inference.ood import energy, unit_length
from animal_classification.inference.reference import distance_from
from benchmarks.evaluation.setting import Model

Floats = NDArray[np.float64]
Score = Callable[[NDArray[np.float32]], Floats]
_SHRUNK = 0.8
SHIPPED = "energy + relative Mahalanobis"


def scores(model: Model) -> dict[str, Score]:
    """By name; each takes embeddings ``[N, D]``."""
    temperature = model.rules.calibration.temperature

    def logits(x: NDArray[np.float32]) -> Floats:
        return model.logits(x) / temperature

    def probabilities(x: NDArray[np.float32]) -> Floats:
        return calibrated(model.logits(x), temperature)

    relative = distance_from(model.rules.reference, "model").score
    neighbour = _neighbours(model, 5)

    def entropy(x: NDArray[np.float32]) -> Floats:
        p = probabilities(x)
        return np.asarray((p * np.log(p + 1e-12)).sum(axis=1))

    def margin(x: NDArray[np.float32]) -> Floats:
        ranked = np.sort(probabilities(x), axis=1)
        return np.asarray(ranked[:, -1] - ranked[:, -2])

    alone: dict[str, Score] = {
        "max probability": lambda x: np.asarray(probabilities(x).max(axis=1)),
        "margin of the first two": margin,
        "entropy": entropy,
        "max logit": lambda x: np.asarray(logits(x).max(axis=1)),
        "energy": lambda x: energy(logits(x)),
        "cosine to the nearest class mean": _class_means(model),
        "k-NN: cosine to 5 nearest photos": neighbour,
        "Mahalanobis": _mahalanobis(model),
        "relative Mahalanobis": relative,
        "backbone: probability of animals": _backbone_animals(),
    }
    together = {
        "energy + k-NN": (alone["energy"], neighbour),
        "energy + Mahalanobis": (alone["energy"], alone["Mahalanobis"]),
        SHIPPED: (alone["energy"], relative),
    }
    return {**alone, **{name: _sum(*pair, model.test) for name, pair in together.items()}}


def _sum(first: Score, second: Score, known: NDArray[np.float32]) -> Score:
    """Each on the scale of known photos."""
    scales = [(score(known).mean(), score(known).std()) for score in (first, second)]

    def score(x: NDArray[np.float32]) -> Floats:
        parts = [(one(x) - mean) / deviation for one, (mean, deviation) in zip((first, second), scales, strict=True)]
        return np.asarray(parts[0] + parts[1])

    return score


def _neighbours(model: Model, k: int) -> Score:
    kept = unit_length(model.learned)
    return lambda x: np.asarray(np.sort(unit_length(x) @ kept.T, axis=1)[:, -k:].mean(axis=1), dtype=np.float64)


def _class_means(model: Model) -> Score:
    means = unit_length(
        np.stack([unit_length(model.learned[model.targets == c]).mean(axis=0) for c in _classes(model)])
    )
    return lambda x: np.asarray((unit_length(x) @ means.T).max(axis=1), dtype=np.float64)


def _mahalanobis(model: Model) -> Score:
    """To the nearest class, with one shrunk covariance, in all dimensions."""
    unit = unit_length(model.learned).astype(np.float64)
    means = np.stack([unit[model.targets == c].mean(axis=0) for c in _classes(model)])
    own = unit - means[model.targets]
    covariance = own.T @ own / len(own)
    width = len(covariance)
    shrunk = (1 - _SHRUNK) * covariance + _SHRUNK * np.trace(covariance) / width * np.eye(width)
    root = np.linalg.cholesky(np.linalg.inv(shrunk))

    def score(x: NDArray[np.float32]) -> Floats:
        here, there = unit_length(x) @ root, means @ root
        distances = (here**2).sum(axis=1)[:, None] + (there**2).sum(axis=1) - 2 * here @ there.T
        return np.asarray(-distances.min(axis=1))

    return score


def _backbone_animals() -> Score:
    """What the ``photos`` model says to being an animal at all: it knows 602 other things."""
    photos = load("photos")
    weight, bias = photos.head()
    animals = len(photos.info.labels)
    return lambda x: np.asarray(calibrated(x @ weight.T + bias, 1.0)[:, :animals].sum(axis=1))


def _classes(model: Model) -> range:
    return range(len(model.classes))
