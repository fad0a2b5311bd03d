"""A model of the recipe ``probe`` for every division of the photos, with all its outputs, and nothing written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from animal_classification.bundle.graph import parse_graph
from animal_classification.bundle.linear_head import linear_head
from animal_classification.config.compose import compose
from animal_classification.evaluation.fit_postprocessing import HeldOut, Postprocessing, calibrate
from animal_classification.inference.ood import known_scores
from animal_classification.inference.reference import distance_from
from animal_classification.tracking.tracker import NoTracker
from animal_classification.training.dataset import Dataset
from animal_classification.training.prepare_data import prepare
from animal_classification.training.probe import recipe
from animal_classification.training.probe.backbone import BundleBackbone
from animal_classification.training.probe.blas import one_thread
from animal_classification.training.recipe import RecipeInputs


def silent(what: str, done: int, total: int) -> None:
    pass


@dataclass(frozen=True)
class Model:
    """What a trained model says.

    Attributes:
        classes: Their names.
        rules: As a bundle gets them.
        weight: Of the head, ``[C, D]``.
        bias: ``[C]``.
        learned: Embeddings of the photos that it was fitted to, ``[N, D]``.
        targets: Their classes, ``[N]``.
        held_logits: Out of fold, of the same photos, as far as they could be judged.
        held_targets: Their classes.
        held_out: The same, and what else the rules come from.
        test: Embeddings of the test photos.
        test_targets: Their classes.
    """

    classes: tuple[str, ...]
    rules: Postprocessing
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    learned: NDArray[np.float32]
    targets: NDArray[np.int64]
    held_logits: NDArray[np.float64]
    held_targets: NDArray[np.int64]
    held_out: HeldOut
    test: NDArray[np.float32]
    test_targets: NDArray[np.int64]

    def logits(self, embeddings: NDArray[np.float32]) -> NDArray[np.float64]:
        """Not divided by the temperature."""
        result: NDArray[np.float64] = (embeddings @ self.weight.T + self.bias).astype(np.float64)
        return result

    def rules_for(self, refused: float) -> Postprocessing:
        """The rules where this share of the photos of the classes may be called unknown."""
        temperature = self.rules.calibration.temperature
        with one_thread():
            return calibrate(
                self.held_out,
                embedding=self.learned,
                label=self.targets,
                temperature=temperature,
                refused=refused,
            )

    def refused(self, embeddings: NDArray[np.float32], rules: Postprocessing | None = None) -> NDArray[np.bool_]:
        """Which photos are called unknown, by the model's own rules if no others are given."""
        rules = self.rules if rules is None else rules
        rule = rules.unknown
        if rule is None:
            return np.zeros(len(embeddings), dtype=np.bool_)
        judged_by_distance = rule.method == "energy_mahalanobis"
        distance = distance_from(rules.reference, "probe").score(embeddings) if judged_by_distance else None
        scores = known_scores(rule, self.logits(embeddings) / rules.calibration.temperature, distance)
        return np.asarray(scores < rule.threshold)


@dataclass(frozen=True)
class Setting:
    """A folder of photos, divided with a seed; embeddings are computed once and remembered."""

    dataset: Dataset
    config: Any
    backbone: BundleBackbone
    embeddings: dict[str, NDArray[np.float32]]

    @classmethod
    def of(cls, folder: Path, seed: int) -> Setting:
        config = compose([f"data.path={folder}", f"seed={seed}", "tracking=none"])
        dataset = prepare(config, silent)
        backbone = BundleBackbone.of(config)
        job = _job(config, dataset)
        return cls(dataset, config, backbone, recipe._embeddings(job, backbone))

    def of_classes(self, names: Sequence[str]) -> NDArray[np.float32]:
        """Embeddings of all photos of some classes."""
        rows = [row for row in self.dataset.manifest.usable if row.label in set(names)]
        return np.stack([self.embeddings[row.sha256] for row in rows if row.sha256 in self.embeddings])

    def of_files(self, files: Sequence[Path]) -> NDArray[np.float32]:
        """Embeddings of other photos."""
        return np.stack([vector for vector in self.backbone.embed(files) if vector is not None])

    def train(self, names: Sequence[str] = ()) -> Model:
        """A model of these classes; of all by default."""
        dataset = self.dataset
        if names:
            rows = [row for row in dataset.manifest if row.label in set(names)]
            dataset = Dataset(dataset.manifest.with_rows(rows), dataset.notes, dataset.units)
        trained = recipe.train(_job(self.config, dataset))
        held_out = trained.held_out
        assert held_out is not None
        learned, targets = np.asarray(trained.reference["embedding"]), np.asarray(trained.reference["label"])
        with one_thread():
            rules = calibrate(held_out, embedding=learned, label=targets, temperature=trained.calibration.temperature)
        weight, bias = linear_head(parse_graph(trained.model, "probe"), "probe")
        test = [(row, target) for row, target in zip(dataset.test.rows, dataset.test.targets, strict=True)]
        return Model(
            classes=dataset.classes,
            rules=rules,
            weight=weight,
            bias=bias,
            learned=learned,
            targets=targets,
            held_logits=np.asarray(held_out.logits, dtype=np.float64),
            held_targets=np.asarray(held_out.targets),
            held_out=held_out,
            test=np.stack([self.embeddings[str(row.sha256)] for row, _ in test]),
            test_targets=np.array([target for _, target in test]),
        )


def _job(config: Any, dataset: Dataset) -> RecipeInputs:
    return RecipeInputs(config=config, dataset=dataset, run=cast(Any, None), tracker=NoTracker(), progress=silent)
