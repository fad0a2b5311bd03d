"""How good a model is on photos that it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from animal_classification.errors import AnimalsError, ImageError
from animal_classification.evaluation.calibration import calibrated
from animal_classification.imaging.geometry import is_wide

if TYPE_CHECKING:
    from animal_classification.data.manifest import Record
    from animal_classification.training.dataset import Part
    from animal_classification.training.recipe import Job

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
    part = job.dataset.test
    found = _served(job, range(len(part)))
    positions = sorted(found)
    classes = len(job.dataset.classes)
    probabilities = np.stack([found[index] for index in positions]) if positions else np.zeros((0, classes))
    targets = part.targets[np.array(positions, dtype=np.int64)]
    return Measured(tuple(positions), targets, probabilities, _missing(len(part) - len(positions)))


def with_wide_photos_served(job: Job, measured: Measured) -> Measured:
    """``measured``, with wide and tall photos as they will be served: by several crops, where training has seen one."""
    rows = job.dataset.test.rows
    place = {position: index for index, position in enumerate(measured.positions)}
    wide = [position for position in measured.positions if _has_several_crops(rows[position])]
    if not wide:
        return measured
    probabilities = measured.probabilities.copy()
    for position, row in _served(job, wide).items():
        probabilities[place[position]] = row
    return replace(measured, probabilities=probabilities)


def _has_several_crops(row: Record) -> bool:
    return bool(row.width and row.height and is_wide(row.width, row.height))


def _served(job: Job, positions: Sequence[int]) -> dict[int, NDArray[np.float64]]:
    """Probabilities ``[C]`` of test photos, from the bundle; without those that cannot be read any more."""
    from animal_classification.inference import Classifier

    if not len(positions):
        return {}
    part, classes = job.dataset.test, job.dataset.classes
    classifier = Classifier.load(job.run.bundle)
    number = {label.id: index for index, label in enumerate(classifier.info.labels)}
    pairs = [(str(position), part.files[position]) for position in positions]
    found = {}
    for done, result in enumerate(classifier.predict_paths(pairs, top_k=len(classes)), start=1):
        job.progress("measuring", done, len(pairs))
        if result.prediction is None:
            continue
        row = np.zeros(len(classes))
        for candidate in result.prediction.top:
            row[number[candidate.label_id]] = candidate.probability
        found[int(result.path)] = row
    return found


def check_served(job: Job, logits: NDArray[np.float32]) -> None:
    """Compare the written bundle with logits that were computed otherwise, on the first test photos of some classes.

    Raises:
        AnimalsError: They are not the same.
    """
    from animal_classification import bundle as bundles
    from animal_classification import imaging
    from animal_classification.inference.engine import start_engine

    part = job.dataset.test
    chosen = [index for index in _spread(len(part)) if np.isfinite(logits[index]).all()]
    bundle = bundles.load(job.run.bundle)
    pixels, limits = [], imaging.Limits.of_container()
    for index in list(chosen):
        try:
            pixels.append(imaging.preprocess(part.files[index], bundle.preprocess_spec, limits=limits))
        except ImageError:
            chosen.remove(index)
    if not chosen:
        return
    served = start_engine(bundle, outputs=("logits",)).infer(np.stack(pixels))["logits"]
    worst = float(np.abs(served - logits[chosen]).max())
    if worst > _TOLERANCE * max(1.0, float(np.abs(logits[chosen]).max())):
        raise AnimalsError(
            f"{job.run.bundle}: the model answers otherwise than when it was trained (logits differ by {worst:.3g}); "
            "have photos changed meanwhile? start again, and if it stays so, report it"
        )


def _spread(count: int) -> list[int]:
    return sorted({round(index) for index in np.linspace(0, count - 1, min(_CHECKED, count))}) if count else []


def _missing(count: int) -> tuple[str, ...]:
    return (f"{count} test photos vanished or became unreadable during the run and were not counted",) if count else ()
