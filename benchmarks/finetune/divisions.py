"""How good recipes are on many random divisions: the table of docs/measurements/finetune.md.

    python benchmarks/finetune/divisions.py --data ../shared/data/animals22 --divisions 20 --cache /tmp/divisions

Each division is what `animals train seed=…` makes; each model is trained by the recipe as it comes, and gets its rules
as a bundle gets them. What the frozen networks make of a photo is computed once, for all divisions, and kept in the
cache: that is all that differs from `animals train`. Where the layers are not kept, which is settled after they have
been tried, `finetune` is its head alone; `--recipes probe "finetune, head alone"` does not try them, takes a tenth of
the time, and writes no graph. `--recipes cnn` trains one from nothing, small, because what is of interest there is the
rule for unknown photos.

Of each recipe: label accuracy; answered right (the right label, and not called unknown); called unknown; coverage of
the drawn prediction sets; calibration error. Differences are taken within divisions. Divisions share photos, so the
usual standard error of a mean over divisions is too small; beside it stands the corrected one of Nadeau and Bengio
(2003, "Inference for the generalization error"), which adds the test's share to 1/divisions.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from animal_classification.bundle.graph import parse_graph
from animal_classification.bundle.linear_head import linear_head
from animal_classification.config.compose import compose
from animal_classification.config.schema import Config, FinetuneConfig
from animal_classification.data.embedding_cache import embed
from animal_classification.evaluation import calibration, conformal
from animal_classification.evaluation.fit_postprocessing import HeldOut, Postprocessing, calibrate
from animal_classification.imaging import PreprocessSpec, preprocess
from animal_classification.inference.engine import create_engine, infer_in_batches
from animal_classification.inference.ood import known_scores
from animal_classification.inference.reference import distance_from
from animal_classification.tracking.tracker import NoTracker
from animal_classification.training.dataset import Dataset
from animal_classification.training.postprocessing import find_rules
from animal_classification.training.prepare_data import prepare
from animal_classification.training.probe.backbone import BundleBackbone
from animal_classification.training.probe.blas import one_thread
from animal_classification.training.probe.linear_models import LinearHead
from animal_classification.training.recipe import RecipeInputs, TrainedModel, find_recipe
from animal_classification.training.run import open_run

WORDS = {
    "probe": (),
    "finetune": ("recipe=finetune",),
    "finetune, head alone": ("recipe=finetune", "recipe.epochs=0"),
    "cnn": ("recipe=cnn", "recipe.size=32", "recipe.epochs=2", "trainer.threads=1"),
}
COLUMNS = ("labels right", "answered right", "called unknown", "coverage", "ECE")
FEATURES = "features.npz"
Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Features:
    """What the frozen networks of `finetune` make of every photo, by content.

    Attributes:
        place: Where a photo stands in the arrays.
        activations: float16 ``[N, h, w, C]``.
        embeddings: float32 ``[N, V, D]``.
        own: The networks' own classifier.
    """

    place: Mapping[str, int]
    activations: NDArray[np.float16]
    embeddings: Vectors
    own: LinearHead | None

    @classmethod
    def of(cls, data: str, cache: Path) -> Features:
        """Computed, or read from the cache."""
        from animal_classification.training.neural.finetune.features import features_of
        from animal_classification.training.neural.finetune.network import split_backbone
        from animal_classification.training.neural.finetune.timm_backbone import load_backbone
        from animal_classification.training.neural.fit import prepare_torch

        config = _config(data, cache, cache, "recipe=finetune")
        dataset = prepare(config, _silent)
        rows = list({row.sha256: row for row in dataset.manifest.usable}.values())
        prepare_torch(config.trainer)
        backbone = load_backbone(config.backbone)
        network = split_backbone(backbone, None, classes=len(dataset.classes), drop=0.2)
        found = features_of(
            [dataset.manifest.file(row) for row in rows],
            network,
            PreprocessSpec(**backbone.preprocess.model_dump()),
            mirrored=True,
            keep=cache / FEATURES,
            progress=_silent,
        )
        place = {str(row.sha256): index for index, row in enumerate(rows)}
        return cls(place, found.activations, found.embeddings, network.own)

    def put(self, dataset: Dataset, folder: Path) -> None:
        """Where a run finds what it would compute."""
        folder.mkdir(parents=True)
        for name, part in (("train", dataset.train), ("val", dataset.val)):
            at = self.at(part.rows)
            np.savez(folder / f"{name}.npz", activations=self.activations[at], embeddings=self.embeddings[at])

    def at(self, rows: Sequence[Any]) -> NDArray[np.int64]:
        return np.array([self.place[row.sha256] for row in rows], dtype=np.int64)


def measure(rules: Postprocessing, embedding: Vectors, logits: Vectors, targets: NDArray[np.int64]) -> dict[str, Any]:
    """The numbers of ``COLUMNS``, and how many test photos were called unknown."""
    scaled = np.asarray(logits, dtype=np.float64) / rules.calibration.temperature
    probabilities = calibration.calibrated(scaled, 1.0)
    right, unknown = probabilities.argmax(axis=1) == targets, np.zeros(len(targets), dtype=bool)
    if rules.unknown is not None:
        distance = None
        if rules.unknown.method == "energy_mahalanobis":
            distance = distance_from(rules.reference, "model").score(embedding)
        unknown = known_scores(rules.unknown, scaled, distance) < rules.unknown.threshold
    bins = calibration.reliability(probabilities.max(axis=1), right)
    covered = conformal.coverage(probabilities, targets, rules.conformal) if rules.conformal else math.nan
    numbers = (right.mean(), (right & ~unknown).mean(), unknown.mean(), covered, calibration.calibration_error(bins))
    return {
        **dict(zip(COLUMNS, map(float, numbers), strict=True)),
        "refused": int(unknown.sum()),
        "photos": len(targets),
    }


def divide(recipe: str, data: str, seed: int, cache: Path, features: Features | None) -> Any:
    """Train on one division, and measure on its test photos."""
    with tempfile.TemporaryDirectory(dir=cache) as output:
        config = _config(data, Path(output), cache, *WORDS[recipe], f"seed={seed}")
        dataset = prepare(config, _silent)
        if features is not None and isinstance(config.recipe, FinetuneConfig) and not config.recipe.epochs:
            return {**_head_alone(config.recipe, dataset, features), "layers": False}
        run = open_run(config, name="division", data_version=dataset.version)
        job = RecipeInputs(config=config, dataset=dataset, run=run, tracker=NoTracker(), progress=_silent)
        if features is not None:
            features.put(dataset, run.checkpoints)
        trained = find_recipe(config.recipe.name)(job)
        ruled = _with_rules(job, trained)
        embedding, logits = _outputs(job, trained, features)
        numbers = measure(ruled, embedding, logits, dataset.test.targets)
        return {**numbers, "layers": config.recipe.name == "cnn" or trained.metrics.get("epoch", 0) > 0}


def _head_alone(recipe: FinetuneConfig, dataset: Dataset, features: Features) -> dict[str, Any]:
    """What the recipe does with train and val together where no layer learns."""
    from animal_classification.training.neural.finetune.probe_head import Learned, starting_head

    parts = [
        Learned.of(part, dataset.units, features.embeddings[features.at(part.rows)])
        for part in (dataset.train, dataset.val)
    ]
    learned, classes = parts[0].followed_by(parts[1]), len(dataset.classes)
    start = starting_head(learned, classes=classes, own=features.own, balance=recipe.balance)
    with one_thread():
        rules = calibrate(start.held_out, embedding=learned.embeddings[:, 0], label=learned.targets)
    embedding = features.embeddings[features.at(dataset.test.rows), 0]
    logits = start.head.logits(embedding.astype(np.float64)).astype(np.float32)
    return measure(rules, embedding, logits, dataset.test.targets)


def _with_rules(job: RecipeInputs, trained: TrainedModel) -> Postprocessing:
    if trained.held_out is None:  # then the val photos go through the graph, as they do when a bundle is written
        embedding, logits = _served(job, trained, job.dataset.val.files)
        held_out = HeldOut(logits=logits, targets=job.dataset.val.targets, embedding=embedding)
        trained = replace(trained, held_out=held_out)
    rules = find_rules(job, trained).rules
    assert rules is not None
    return rules


def _outputs(job: RecipeInputs, trained: TrainedModel, features: Features | None) -> tuple[Vectors, Vectors]:
    """Embeddings and logits of the test photos; by the graph itself where its layers have learned."""
    part = job.dataset.test
    if job.config.recipe.name == "probe":
        backbone = BundleBackbone.of(job.config)
        manifest = job.dataset.manifest.with_rows(part.rows)
        embedding = embed(manifest, backbone.embed, model=backbone.key, cache=Path(str(job.config.data.cache)))
    elif features is not None and not trained.metrics["epoch"]:
        embedding = features.embeddings[features.at(part.rows), 0]
    else:
        return _served(job, trained, part.files)
    weight, bias = linear_head(parse_graph(trained.model, "model"), "model")
    return embedding, embedding @ weight.T + bias


def _served(job: RecipeInputs, trained: TrainedModel, files: Sequence[Path]) -> tuple[Vectors, Vectors]:
    """Embeddings and logits, by the engine that serves."""
    model = job.run.path / "model.onnx"
    model.write_bytes(trained.model)
    spec = PreprocessSpec(**trained.preprocess.model_dump())
    pixels = np.stack([preprocess(file, spec) for file in files])
    found = infer_in_batches(create_engine(model, outputs=("logits", "embedding")), pixels)
    return found["embedding"], found["logits"]


def show(found: Mapping[str, Sequence[Any]], share: float) -> None:
    """Means and deviations, the refusals, and differences from `probe`."""
    print(f"\n| | {' | '.join(COLUMNS)} | layers kept |\n|{'---|' * (len(COLUMNS) + 2)}")
    for name, rows in found.items():
        columns = [[row[column] for row in rows] for column in COLUMNS]
        cells = [f"{np.mean(values):.4f} ({_deviation(values):.4f})" for values in columns]
        print(f"| {name} | {' | '.join(cells)} | {sum(row['layers'] for row in rows)} of {len(rows)} |")
    for name, rows in found.items():
        _show_refusals(name, rows, share)
    for name in found:
        if name != "probe" and "probe" in found:
            for column in COLUMNS[:2]:
                _show_difference(name, column, found)


def _deviation(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _show_refusals(name: str, rows: Sequence[Any], share: float) -> None:
    refused, photos = sum(row["refused"] for row in rows), sum(row["photos"] for row in rows)
    above = sum(row["called unknown"] > share for row in rows)
    surely = sum(_chance(row["refused"], row["photos"], share) < 0.05 for row in rows)
    print(
        f"{name}: {refused} of {photos} called unknown ({refused / photos:.2%}, {share:.1%} wanted); the share on the "
        f"test is above that in {above} of {len(rows)} divisions, by more than chance (binomial, 5%) in {surely}"
    )


def _chance(refused: int, photos: int, share: float) -> float:
    """Probability of so many refusals or more where the true share is the wanted one."""
    log = math.lgamma
    terms = (
        log(photos + 1) - log(k + 1) - log(photos - k + 1) + k * math.log(share) + (photos - k) * math.log1p(-share)
        for k in range(refused)
    )
    return 1 - sum(map(math.exp, terms))


def _show_difference(name: str, column: str, found: Mapping[str, Sequence[Any]]) -> None:
    pairs = list(zip(found[name], found["probe"], strict=False))
    gains = np.array([mine[column] - base[column] for mine, base in pairs])
    spread, ratio = _deviation(gains.tolist()), 0.25  # photos in the test for each that was learned from
    usual, corrected = spread / math.sqrt(len(gains)), spread * math.sqrt(1 / len(gains) + ratio)
    print(
        f"{name}, {column}: {gains.mean():+.4f} beside probe; standard error {usual:.4f}, corrected for shared photos "
        f"{corrected:.4f}; better in {(gains > 0).sum()} of {len(gains)}, worse in {(gains < 0).sum()}"
    )


def _config(data: str, output: Path, cache: Path, *words: str) -> Config:
    fixed = ("data=folder", f"data.path={data}", f"data.cache={cache}", f"output={output}", "tracking=none")
    return compose([*fixed, *words])


def _silent(what: str, done: int, total: int) -> None:
    pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a folder of photos")
    parser.add_argument("--cache", required=True, type=Path, help="where features are kept for another time")
    parser.add_argument("--divisions", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--recipes", nargs="+", default=["probe", "finetune"], choices=tuple(WORDS))
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    features = Features.of(options.data, options.cache) if any("finetune" in name for name in options.recipes) else None
    share = _config(options.data, options.cache, options.cache).unknown.refused
    found: dict[str, list[Any]] = {name: [] for name in options.recipes}
    for seed in range(options.first, options.first + options.divisions):
        for name in options.recipes:
            row = divide(name, options.data, seed, options.cache, features if "finetune" in name else None)
            found[name].append(row)
            print(json.dumps({"recipe": name, "seed": seed, **row}), flush=True)
    show(found, share)


if __name__ == "__main__":
    main()
