"""How good a model is on photos that it was not trained on."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from animal_classification.errors import AnimalsError, ImageError
from animal_classification.evaluation.calibration import calibrated

if TYPE_CHECKING:
    from pathlib import Path

    from animal_classification.bundle import Bundle
    from animal_classification.training.dataset import Dataset, Part
    from animal_classification.training.recipe import Job, Trained

_TOP = 5
# Photos on which a bundle's logits are compared with those that the recipe has, and how far they may be apart: engines
# round, and a photo may be decoded in a batch of another size.
_CHECKED = 4
_TOLERANCE = 0.02


@dataclass(frozen=True)
class Measured:
    """Answers for the test photos.

    Attributes:
        positions: Of the photos in the test part, those that could be read.
        targets: int64 ``[N]``.
        probabilities: float64 ``[N, C]``, calibrated.
        notes: What a person should know.
    """

    positions: tuple[int, ...]
    targets: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.positions)

    @cached_property
    def answers(self) -> NDArray[np.int64]:
        """Numbers of the most probable classes, ``[N]``."""
        result: NDArray[np.int64] = self.probabilities.argmax(axis=1)
        return result

    def confusion(self, classes: int) -> NDArray[np.int64]:
        """``[C, C]``: true classes down, answers across."""
        table = np.zeros((classes, classes), dtype=np.int64)
        np.add.at(table, (self.targets, self.answers), 1)
        return table

    def recalls(self, classes: Sequence[str]) -> dict[str, float]:
        """Of each class that has a test photo, the share that was recognised."""
        table = self.confusion(len(classes))
        counts = table.sum(axis=1)
        return {name: float(table[index, index] / counts[index]) for index, name in enumerate(classes) if counts[index]}

    def summary(self) -> dict[str, float]:
        """The numbers that describe the whole, under the names of ``bundle.json``; empty without a test photo."""
        if not len(self):
            return {}
        own = self.probabilities[np.arange(len(self)), self.targets]
        better = (self.probabilities > own[:, None]).sum(axis=1)
        recalls = [float((self.answers == number)[self.targets == number].mean()) for number in set(self.targets)]
        return {
            "accuracy": float((self.answers == self.targets).mean()),
            "top5": float((better < _TOP).mean()),
            "balanced_accuracy": float(np.mean(recalls)),
            "loss": float(-np.log(np.maximum(own, 1e-12)).mean()),
        }

    def metrics(self, classes: Sequence[str]) -> dict[str, float]:
        """All numbers, under the names of ``tracking.tracker``."""
        whole = {f"test/{name}": value for name, value in self.summary().items()}
        return {**whole, **{f"test/recall/{name}": value for name, value in self.recalls(classes).items()}}


def from_logits(part: Part, logits: NDArray[np.float32], temperature: float) -> Measured:
    """From logits ``[len(part), C]``; rows of NaN are photos that could not be read."""
    good = np.flatnonzero(np.isfinite(logits).all(axis=1)) if len(part) else np.empty(0, dtype=np.int64)
    probabilities = calibrated(logits[good], temperature)
    return Measured(tuple(good.tolist()), part.targets[good], probabilities, _missing(len(part) - len(good)))


def measure_served(job: Job) -> Measured:
    """Send every test photo through the bundle, as it will be served."""
    from animal_classification.inference import Classifier

    part, classes = job.dataset.test, job.dataset.classes
    positions: list[int] = []
    rows: list[NDArray[np.float64]] = []
    if len(part):
        classifier = Classifier.load(job.run.bundle)
        number = {label.id: index for index, label in enumerate(classifier.info.labels)}
        pairs = [(str(index), file) for index, file in enumerate(part.files)]
        for done, result in enumerate(classifier.predict_paths(pairs, top_k=len(classes)), start=1):
            job.progress("measuring", done, len(part))
            if result.prediction is None:
                continue
            row = np.zeros(len(classes))
            for candidate in result.prediction.top:
                row[number[candidate.label_id]] = candidate.probability
            positions.append(int(result.path))
            rows.append(row)
    probabilities = np.stack(rows) if rows else np.zeros((0, len(classes)))
    targets = part.targets[np.array(positions, dtype=np.int64)]
    return Measured(tuple(positions), targets, probabilities, _missing(len(part) - len(positions)))


@dataclass(frozen=True)
class Witnesses:
    """A few photos whose logits were computed otherwise than by the graph that is written.

    Attributes:
        files: The photos.
        logits: float32 ``[N, C]``.
    """

    files: Sequence[Path]
    logits: NDArray[np.float32]

    @classmethod
    def of(cls, dataset: Dataset, trained: Trained) -> Witnesses:
        """Test photos, or training photos where there is none; nobody where the recipe has logits of neither."""
        pairs: list[tuple[Sequence[Path], NDArray[np.float32]]] = []
        if trained.test_logits is not None:
            pairs.append((dataset.test.files, trained.test_logits))
        if trained.train_logits is not None:
            pairs.append(([dataset.manifest.file(row) for row in trained.learned_from], trained.train_logits))
        for files, logits in pairs:
            good = np.flatnonzero(np.isfinite(logits).all(axis=1))
            if len(good):
                chosen = good[_spread(len(good))]
                return cls([files[index] for index in chosen], logits[chosen])
        return cls((), np.empty((0, 0), dtype=np.float32))


def check_served(bundle: Bundle, witnesses: Witnesses) -> None:
    """Ask a bundle about photos whose logits are known.

    Raises:
        AnimalsError: It answers otherwise.
    """
    from animal_classification import imaging
    from animal_classification.inference.engine import start_engine

    chosen, pixels = [], []
    for index, file in enumerate(witnesses.files):
        with contextlib.suppress(ImageError):  # it is gone
            pixels.append(imaging.preprocess(file, bundle.preprocess_spec))
            chosen.append(index)
    if not chosen:
        return
    logits = witnesses.logits[chosen]
    served = start_engine(bundle, outputs=("logits",)).infer(np.stack(pixels))["logits"]
    worst = float(np.abs(served - logits).max()) if served.shape == logits.shape else np.inf
    if not worst <= _TOLERANCE * max(1.0, float(np.abs(logits).max())):
        raise AnimalsError(
            f"the model answers otherwise than when it was trained (logits differ by {worst:.3g}), so it was not "
            "written; have photos changed meanwhile? start again, and if it stays so, report it"
        )


def _spread(count: int) -> list[int]:
    return sorted({round(index) for index in np.linspace(0, count - 1, min(_CHECKED, count))}) if count else []


def _missing(count: int) -> tuple[str, ...]:
    return (f"{count} test photos vanished or became unreadable during the run and were not counted",) if count else ()
