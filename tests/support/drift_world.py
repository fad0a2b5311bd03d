"""Worlds in which drift is known: photos of animals22 through the built-in backbone, divided anew for each.

A world has a head trained on some photos, a reference of others and a pool of yet others, from which windows are drawn.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from animal_classification import bundle as bundles
from animal_classification import imaging
from animal_classification.bundle import Unknown
from animal_classification.common.softmax import softmax
from animal_classification.errors import ImageError
from animal_classification.evaluation.fit_postprocessing import HeldOut, calibrate
from animal_classification.imaging.corruptions import CORRUPTIONS
from animal_classification.imaging.statistics import photo_statistics
from animal_classification.inference.engine import infer_in_batches, start_engine
from animal_classification.inference.ood import FeatureDistance, known_scores, squashed, unit_length
from animal_classification.inference.reference import distance_from
from animal_classification.inference.stream import Stream, decode_square, files_as_items
from animal_classification.monitoring.drift.judge import DriftJudge
from animal_classification.monitoring.drift.reference import DriftReference
from animal_classification.monitoring.drift.sample import DriftWindow, PhotoSample
from animal_classification.training.probe.head import cross_validate, fit_head, stratified_group_kfold
from animal_classification.training.probe.linear_models import EmbeddedPhotos, LinearHead

CLEAN = "clean"


@dataclass(frozen=True)
class EmbeddedFiles:
    """Photos through a backbone, as they are and changed.

    Attributes:
        label: Names of the folders, ``[N]``.
        changes: Names of the changes; the first is ``clean``.
        embedding: float16 ``[N, changes, D]``.
        stats: float32 ``[N, changes, 12]``.
    """

    label: NDArray[np.str_]
    changes: tuple[str, ...]
    embedding: NDArray[np.float16]
    stats: NDArray[np.float32]

    @classmethod
    def of(cls, files: Sequence[Path], changes: Sequence[str]) -> EmbeddedFiles:
        bundle = bundles.load("photos")
        engine = start_engine(bundle, outputs=("embedding",))
        names = (CLEAN, *(name for name in changes if name != CLEAN))

        def infer(photos: Sequence[NDArray[np.uint8]]) -> list[tuple[NDArray[Any], NDArray[Any]]]:
            found = []
            for pixels in photos:
                views = np.stack([pixels if name == CLEAN else CORRUPTIONS[name].apply(pixels) for name in names])
                embedding = infer_in_batches(engine, views)["embedding"].astype(np.float16)
                found.append((embedding, np.stack([photo_statistics(view) for view in views])))
            return found

        def decode(item: Any) -> NDArray[np.uint8]:
            return decode_square(item, bundle.preprocess_spec, imaging.Limits.of_container())

        rows = [
            (Path(item.name).parent.name, *row)
            for item, row in Stream(decode, infer).run(files_as_items(files))
            if not isinstance(row, ImageError)
        ]
        labels, embeddings, stats = zip(*rows, strict=True)
        return cls(np.array(labels), names, np.stack(embeddings), np.stack(stats))

    @classmethod
    def kept(cls, folder: Path, files: Sequence[Path], changes: Sequence[str]) -> EmbeddedFiles:
        """The same, read from a folder if photos, backbone and code were the same before: it takes six minutes."""
        stored = folder / f"{_what_decides(files, changes)}.npz"
        if not stored.exists():
            found = cls.of(files, changes)
            part = stored.with_suffix(f".{os.getpid()}.npz")
            changed = np.array(found.changes)
            np.savez(part, label=found.label, changes=changed, embedding=found.embedding, stats=found.stats)
            part.replace(stored)
        with np.load(stored) as arrays:
            names = tuple(arrays["changes"].tolist())
            return cls(arrays["label"], names, arrays["embedding"], arrays["stats"])

    def take(self, chosen: NDArray[Any]) -> EmbeddedFiles:
        return EmbeddedFiles(self.label[chosen], self.changes, self.embedding[chosen], self.stats[chosen])

    def of_one_scene(self) -> EmbeddedFiles:
        """Without photos that are nearly the same as one before."""
        unit = unit_length(self.embedding[:, 0].astype(np.float32))
        kept: list[int] = []
        for place in range(len(unit)):
            if not kept or float((unit[kept] @ unit[place]).max()) < 0.97:
                kept.append(place)
        return self.take(np.array(kept))


def _what_decides(files: Sequence[Path], changes: Sequence[str]) -> str:
    """A hash of all that embeddings depend on: the photos, the changes, the backbone, and the code that reads them."""
    parts = [*changes, *sorted(bundles.load("photos").info.files.values())]
    for file in files:
        parts += [file.parent.name, file.name, hashlib.sha256(file.read_bytes()).hexdigest()]
    package = Path(imaging.__file__).parents[1]
    for room in ("imaging", "inference"):
        parts += [hashlib.sha256(code.read_bytes()).hexdigest() for code in sorted((package / room).rglob("*.py"))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class World:
    """A model, its reference, and photos to draw windows from."""

    head: LinearHead
    temperature: float
    unknown: Unknown
    distance: FeatureDistance
    classes: tuple[str, ...]
    reference_files: EmbeddedFiles
    pool: EmbeddedFiles
    new: EmbeddedFiles

    @classmethod
    def of(cls, files: EmbeddedFiles, seed: int, *, reference: int = 350, new: int = 3) -> World:
        """Divide photos.

        Args:
            files: All of them.
            seed: How.
            reference: How many are the reference.
            new: How many classes the model does not know.
        """
        generator = np.random.default_rng(seed)
        names = generator.permutation(np.unique(files.label))
        unknown = np.isin(files.label, names[:new])
        classes = tuple(sorted(names[new:].tolist()))
        order = generator.permutation(np.flatnonzero(~unknown))
        windows = (len(order) - reference) // 2
        parts = np.split(order, [reference, reference + windows])
        reference_files, pool, train = (files.take(part) for part in parts)
        embedding = train.embedding[:, 0].astype(np.float64)
        target = np.array([classes.index(name) for name in train.label])
        weight, bias = bundles.load("photos").head()
        photos = EmbeddedPhotos(
            embedding, target, len(classes), LinearHead(weight.astype(np.float64), bias.astype(np.float64))
        )
        keys = [str(number) for number in range(len(target))]
        folds = stratified_group_kfold(target, range(len(target)), keys, 4)
        settings = cross_validate(photos, folds, (0.01,), workers=2)
        rules = calibrate(
            HeldOut(
                logits=settings.logits,
                targets=target[settings.positions],
                embedding=embedding[settings.positions],
                folds=folds[settings.positions],
            ),
            embedding=embedding,
            label=target,
            temperature=settings.temperature,
        )
        assert rules.unknown is not None
        distance = distance_from(rules.reference, "test")
        head = fit_head(photos, settings)
        found = files.take(np.flatnonzero(unknown))
        return cls(head, settings.temperature, rules.unknown, distance, classes, reference_files, pool, found)

    def sample(self, files: EmbeddedFiles, change: str = CLEAN) -> PhotoSample:
        """What the model says of photos."""
        view = files.changes.index(change)
        embedding = files.embedding[:, view].astype(np.float32)
        logits = self.head.logits(embedding.astype(np.float64)) / self.temperature
        probabilities = softmax(logits)
        raw = known_scores(self.unknown, logits, self.distance.score(embedding))
        return PhotoSample(
            embedding=embedding,
            stats=files.stats[:, view],
            pred=probabilities.argmax(axis=1),
            probability=probabilities.max(axis=1),
            known=squashed(raw, self.unknown.threshold),
        )

    def labels(self, files: EmbeddedFiles) -> NDArray[np.int64]:
        """Positions of true labels; -1 for classes that the model does not know."""
        return np.array([self.classes.index(name) if name in self.classes else -1 for name in files.label])

    @cached_property
    def reference(self) -> DriftReference:
        return DriftReference(sample=self.sample(self.reference_files), label=self.labels(self.reference_files))

    @cached_property
    def judge(self) -> DriftJudge:
        return DriftJudge(
            reference=self.reference, labels=self.classes, model="zoo", version="1", measured=self.reference
        )

    @cached_property
    def samples(self) -> dict[str, PhotoSample]:
        """The pool under each change."""
        return {name: self.sample(self.pool, name) for name in self.pool.changes}

    @cached_property
    def right(self) -> dict[str, NDArray[np.bool_]]:
        """Which answers for the pool are right, under each change."""
        truth = self.labels(self.pool)
        return {name: sample.pred == truth for name, sample in self.samples.items()}

    def clean(self, generator: np.random.Generator, count: int) -> NDArray[np.int64]:
        """Positions in the pool of a window without drift."""
        return generator.choice(len(self.pool.label), min(count, len(self.pool.label)), replace=False)

    def window(self, parts: Sequence[PhotoSample], name: str) -> DriftWindow:
        """A window made of samples."""
        sample = PhotoSample(
            embedding=np.concatenate([part.embedding for part in parts]),
            stats=np.concatenate([part.stats for part in parts]),
            pred=np.concatenate([part.pred for part in parts]),
            probability=np.concatenate([part.probability for part in parts]),
            known=np.concatenate([part.known for part in parts]),
        )
        count = len(sample)
        return DriftWindow(
            sample=sample, ids=tuple(f"{name}-{i}" for i in range(count)), time=np.arange(1.0, count + 1)
        )

    def dirichlet(self, generator: np.random.Generator, count: int) -> NDArray[np.int64]:
        """Positions of a window whose classes come in other shares."""
        truth = self.labels(self.pool)
        weights = generator.dirichlet(np.ones(len(self.classes)))[truth] / np.bincount(truth)[truth]
        size = min(count, len(truth))
        return generator.choice(len(truth), size, replace=False, p=weights / weights.sum())


def worlds(files: EmbeddedFiles, count: int, first: int = 0) -> Iterator[World]:
    for seed in range(first, first + count):
        yield World.of(files, seed)
