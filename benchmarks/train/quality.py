"""A process of its own: many random divisions of one data set, the probe beside the same by hand. Prints one object.

Copies of a picture are never divided, classes keep their proportions; everything is computed from cached embeddings.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import numpy as np

from animal_classification.config.compose import compose
from animal_classification.config.schema import ProbeConfig
from animal_classification.data.embedding_cache import embed
from animal_classification.data.scanner import scan
from animal_classification.data.sources import read_source
from animal_classification.data.splitter import SplitPlan, split
from animal_classification.training.probe.backbone import BundleBackbone
from animal_classification.training.probe.head import BLENDS, choose, fit, loss_at
from animal_classification.training.probe.linear_models import EmbeddedPhotos
from animal_classification.training.probe.stratified_folds import deal
from benchmarks.train.by_hand import model

Contestant = Callable[[np.ndarray, np.ndarray], tuple[float, float]]


class Photos:
    """Embeddings and labels of one data set, with the size and crop of the backbone and with those of the probe."""

    def __init__(self, folder: str) -> None:
        self.config = compose([f"data.path={folder}"])
        self.manifest = read_source(folder)
        self.facts = scan([self.manifest.file(row) for row in self.manifest])
        self.backbone = BundleBackbone.of(self.config)
        self.usable = np.array([row.problem is None for row in self.manifest])
        plain = BundleBackbone(self.backbone.bundle)
        plain.preprocess = self.backbone.bundle.info.preprocess
        self.wide, self.narrow = self._embeddings(self.backbone), self._embeddings(plain)
        self.names, self.targets = np.unique([row.label for row in self.manifest.usable], return_inverse=True)
        self.keys = [row.sha256 or "" for row in self.manifest.usable]

    def _embeddings(self, backbone: BundleBackbone) -> np.ndarray:
        return embed(self.manifest, backbone.embed, model=backbone.key)[self.usable].astype(np.float64)

    def division(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Which photos are for the test, and which belong together."""
        found = split(self.manifest, self.facts, SplitPlan(test=0.2, val=0.0, seed=seed, resplit=True))
        return np.array([row.split == "test" for row in found.manifest.usable]), np.array(found.units)[self.usable]


def by_hand(photos: Photos, test: np.ndarray) -> tuple[float, float]:
    fitted = model().fit(photos.narrow[~test], photos.targets[~test])
    own = fitted.predict_proba(photos.narrow[test])[np.arange(test.sum()), photos.targets[test]]
    accuracy = float((fitted.predict(photos.narrow[test]) == photos.targets[test]).mean())
    return accuracy, float(-np.log(np.maximum(own, 1e-12)).mean())


def probe(
    photos: Photos, embeddings: np.ndarray, test: np.ndarray, units: np.ndarray, blends: tuple
) -> tuple[float, float]:
    from animal_classification.training.probe import head

    recipe = photos.config.recipe
    assert isinstance(recipe, ProbeConfig)
    examples = EmbeddedPhotos(embeddings[~test], photos.targets[~test], len(photos.names), photos.backbone.head())
    keys = [key for key, held in zip(photos.keys, test, strict=True) if not held]
    folds = deal(examples.targets, list(units[~test]), keys, recipe.folds)
    head.BLENDS = blends
    choice = choose(examples, folds, recipe.strengths, workers=2)
    logits = fit(examples, choice).logits(embeddings[test])
    right = float((logits.argmax(axis=1) == photos.targets[test]).mean())
    return right, loss_at(logits, photos.targets[test], choice.temperature)


def main(folder: str, divisions: int) -> None:
    photos = Photos(folder)
    rows: dict[str, list[tuple[float, float]]] = {}
    for seed in range(divisions):
        test, units = photos.division(seed)
        rows.setdefault("by hand", []).append(by_hand(photos, test))
        for name, embeddings, blends in (
            ("probe", photos.wide, BLENDS),
            ("the same with the backbone's own size and crop", photos.narrow, BLENDS),
            ("without the backbone's classes", photos.wide, BLENDS[:2]),
            ("logistic regression alone", photos.wide, BLENDS[:1]),
        ):
            rows.setdefault(name, []).append(probe(photos, embeddings, test, units, blends))
    print(json.dumps({name: _summary(found, rows["by hand"]) for name, found in rows.items()}))


def _summary(found: list[tuple[float, float]], baseline: list[tuple[float, float]]) -> dict[str, float]:
    values, base = np.array(found), np.array(baseline)
    difference = values[:, 0] - base[:, 0]
    return {
        "accuracy": float(values[:, 0].mean()),
        "spread": float(values[:, 0].std(ddof=1)),
        "loss": float(values[:, 1].mean()),
        "gain": float(difference.mean()),
        "gain_error": float(difference.std(ddof=1) / np.sqrt(len(difference))),
        "seed_0": float(values[0, 0]),
    }


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
