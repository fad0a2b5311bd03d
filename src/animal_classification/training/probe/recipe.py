"""The recipe ``probe``: embeddings by a frozen backbone, and a linear head on them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from animal_classification.bundle import Calibration
from animal_classification.common.limits import available_cpus
from animal_classification.common.progress import renamed
from animal_classification.config.schema import ProbeConfig
from animal_classification.data.embedding_cache import embed
from animal_classification.errors import AnimalsError
from animal_classification.evaluation.fit_postprocessing import HeldOut
from animal_classification.taxonomy.class_labels import labels_of
from animal_classification.training.dataset import cache_folder
from animal_classification.training.probe.backbone import BundleBackbone
from animal_classification.training.probe.head import (
    HeadSettings,
    accuracy,
    cross_entropy,
    cross_validate,
    fit_head,
    stratified_group_kfold,
)
from animal_classification.training.probe.linear_models import EmbeddedPhotos, LinearHead
from animal_classification.training.probe.onnx_head import with_head
from animal_classification.training.recipe import RecipeInputs, TrainedModel

if TYPE_CHECKING:
    from animal_classification.data.manifest import ManifestRow
    from animal_classification.training.dataset import DatasetSplit


def train(job: RecipeInputs) -> TrainedModel:
    """Fit a linear head to the embeddings of train and val, and put it on the backbone.

    Raises:
        AnimalsError: Too few photos could be read.
    """
    begun = time.monotonic()
    config = job.config.recipe
    assert isinstance(config, ProbeConfig)
    backbone = BundleBackbone.of(job.config)
    by_hash = _embeddings(job, backbone)
    rows, targets, embeddings = _training_photos(job, by_hash)
    # Keep those of the test photos only: with many photos, all embeddings take hundreds of megabytes.
    tested = {row.sha256 or "" for row in job.dataset.test.rows}
    by_hash = {sha256: vector.copy() for sha256, vector in by_hash.items() if sha256 in tested}
    photos = len(rows)
    if config.flips is True:  # auto: on animals22 they cost the time of a second pass and gained nothing
        mirrored = _mirrored(job, backbone, rows)
        good = np.flatnonzero(np.isfinite(mirrored).all(axis=1))
        rows += [rows[index] for index in good]
        targets = np.concatenate([targets, targets[good]])
        embeddings = np.concatenate([embeddings, mirrored[good]])
    examples = EmbeddedPhotos(
        embeddings.astype(np.float64), targets, len(job.dataset.classes), backbone.head(), balance=config.balance
    )
    folds = _folds(job, config, examples, rows)
    settings = cross_validate(examples, folds, config.strengths, workers=available_cpus())
    head = fit_head(examples, settings)
    weight, bias = head.weight.astype(np.float32), head.bias.astype(np.float32)
    model = with_head(backbone.model, weight, bias)
    speed = len(rows) / max(1e-9, time.monotonic() - begun)
    metrics = _log(job, settings, examples, head, speed)
    test = _test_embedding(job.dataset.test, by_hash, weight.shape[1])
    return TrainedModel(
        model=model,
        labels=labels_of(job.dataset.classes),
        preprocess=backbone.preprocess,
        calibration=Calibration(temperature=settings.temperature),
        photos=photos,
        reference={"embedding": embeddings, "label": targets},
        metrics=metrics,
        held_out=HeldOut(
            logits=settings.logits,
            targets=targets[settings.positions],
            embedding=embeddings[settings.positions],
            folds=folds[settings.positions],
            units=_units(job, rows)[settings.positions],
        ),
        learned_from=tuple(rows),
        test_logits=test @ weight.T + bias,
        test_embedding=test,
        train_logits=_train_logits(embeddings, photos, weight, bias),
    )


def _embeddings(job: RecipeInputs, backbone: BundleBackbone) -> dict[str, NDArray[np.float32]]:
    """Embeddings by the hash of the photo, for every photo that has a split."""
    manifest = job.dataset.manifest
    vectors = embed(
        manifest,
        backbone.embed,
        model=backbone.key,
        cache=cache_folder(job.config.data),
        progress=job.progress,
    )
    found = zip(manifest, vectors, strict=True)
    return {row.sha256: vector for row, vector in found if row.sha256 and np.isfinite(vector).all()}


def _training_photos(
    job: RecipeInputs, by_hash: dict[str, NDArray[np.float32]]
) -> tuple[list[ManifestRow], NDArray[np.int64], NDArray[np.float32]]:
    """Train and val together: cross-validation takes the place of val."""
    rows, targets, vectors = [], [], []
    for part in (job.dataset.train, job.dataset.val):
        for row, target in zip(part.rows, part.targets, strict=True):
            if (vector := by_hash.get(row.sha256 or "")) is not None:
                rows.append(row)
                targets.append(int(target))
                vectors.append(vector)
    if len(set(targets)) < len(job.dataset.classes):
        missing = sorted(set(range(len(job.dataset.classes))) - set(targets))
        raise AnimalsError(
            f"all photos of {job.dataset.classes[missing[0]]!r} vanished or became unreadable during the run; "
            "check the folder and start again"
        )
    return rows, np.array(targets, dtype=np.int64), np.stack(vectors)


def _mirrored(job: RecipeInputs, backbone: BundleBackbone, rows: Sequence[ManifestRow]) -> NDArray[np.float32]:
    """Embeddings of mirrored photos, ``[len(rows), D]``; NaN for those that are gone."""
    manifest = job.dataset.manifest.with_rows(rows)
    vectors = embed(
        manifest,
        lambda files: backbone.embed(files, mirrored=True),
        model=backbone.mirrored_key,
        cache=cache_folder(job.config.data),
        progress=renamed(job.progress, "embedding mirrored photos"),
    )
    place = {row.path: index for index, row in enumerate(manifest)}
    return vectors[[place[row.path] for row in rows]]


def _folds(
    job: RecipeInputs, config: ProbeConfig, examples: EmbeddedPhotos, rows: Sequence[ManifestRow]
) -> NDArray[np.int64]:
    keys = [row.sha256 or "" for row in rows]
    return stratified_group_kfold(examples.targets, _units(job, rows).tolist(), keys, config.folds)


def _units(job: RecipeInputs, rows: Sequence[ManifestRow]) -> NDArray[np.int64]:
    """Equal numbers for photos that must stay in one fold, ``[N]``."""
    return np.array([job.dataset.units.get(row.path, -1 - index) for index, row in enumerate(rows)], dtype=np.int64)


def _log(
    job: RecipeInputs, settings: HeadSettings, examples: EmbeddedPhotos, head: LinearHead, speed: float
) -> dict[str, float]:
    """Log and return metrics under the names that every recipe uses; val is what was held out in turn."""
    metrics = {
        "train/loss": cross_entropy(head.logits(examples.embeddings), examples.targets, settings.temperature),
        "train/accuracy": accuracy(head.logits(examples.embeddings), examples.targets),
        "val/loss": settings.loss,
        "val/accuracy": settings.accuracy,
    }
    # Without held-out photos there is no val.
    metrics = {name: value for name, value in metrics.items() if np.isfinite(value)}
    job.tracker.log_metrics({**metrics, "images_per_second": speed}, step=1)
    return {**metrics, "strength": settings.strength}


def _test_embedding(part: DatasetSplit, by_hash: dict[str, NDArray[np.float32]], width: int) -> NDArray[np.float32]:
    """``[len(part), width]``; NaN for photos that are gone."""
    missing = np.full(width, np.nan, dtype=np.float32)
    rows = [by_hash.get(row.sha256 or "", missing) for row in part.rows]
    return np.stack(rows) if rows else np.empty((0, width), dtype=np.float32)


def _train_logits(
    embeddings: NDArray[np.float32], photos: int, weight: NDArray[np.float32], bias: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Of the photos as they are, which come first; NaN for mirrored ones."""
    logits: NDArray[np.float32] = embeddings @ weight.T + bias
    logits[photos:] = np.nan
    return logits
