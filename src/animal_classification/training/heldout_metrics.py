"""How good a model is on photos that it was not trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from animal_classification import bundle as bundles
from animal_classification.errors import AnimalsError, ImageError
from animal_classification.evaluation.eval_set import Subject, independent_units, mark_seen
from animal_classification.evaluation.model_outputs import compute_outputs
from animal_classification.evaluation.scorecard import LabelledAnswers, Scorecard
from animal_classification.imaging.geometry import is_wide
from animal_classification.inference.engine import start_engine
from animal_classification.inference.postprocess import Postprocessor
from animal_classification.inference.reference import TrainingReference
from animal_classification.inference.stream import decoded_files
from animal_classification.training.dataset import cache_folder

if TYPE_CHECKING:
    from pathlib import Path

    from animal_classification.bundle import Bundle, BundleInfo
    from animal_classification.training.dataset import Dataset, DatasetSplit
    from animal_classification.training.recipe import RecipeInputs, TrainedModel

# Photos on which a bundle's logits are compared with those that the recipe has, and how far they may be apart: engines
# round, and a photo may be decoded in a batch of another size.
_CHECKED = 4
_TOLERANCE = 0.02


@dataclass(frozen=True)
class HeldOutMetrics:
    """Answers for the test photos.

    Attributes:
        positions: Of the photos in the test part, those that could be read.
        targets: int64 ``[N]``.
        probabilities: float64 ``[N, C]``, calibrated.
        notes: What a person should know.
        tested: How good that is, in numbers; ``None`` without a test photo.
    """

    positions: tuple[int, ...]
    targets: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    notes: tuple[str, ...] = ()
    tested: Scorecard | None = None

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
        return {} if self.tested is None else self.tested.summary()

    def metrics(self, classes: Sequence[str]) -> dict[str, float]:
        """All numbers, under the names of ``tracking.tracker``."""
        whole = {f"test/{name}": value for name, value in self.summary().items()}
        return {**whole, **{f"test/recall/{name}": value for name, value in self.recalls(classes).items()}}


@dataclass(frozen=True)
class HeldOutOutputs:
    """What the network says of the test photos that could be read.

    Attributes:
        positions: int64 ``[N]``, which these are of the test part.
        logits: float32 ``[N, C]``.
        embedding: float32 ``[N, D]``.
    """

    positions: NDArray[np.int64]
    logits: NDArray[np.float32]
    embedding: NDArray[np.float32]

    @classmethod
    def of(cls, job: RecipeInputs, trained: TrainedModel) -> HeldOutOutputs:
        """Those that the recipe has anyway, for photos of usual shape; others go through the bundle, as it will serve.

        Raises:
            BundleError: There are others, and the bundle is not written yet.
        """
        logits, embedding = trained.test_logits, trained.test_embedding
        if logits is None or embedding is None:
            return cls.served(job, np.arange(len(job.dataset.test)))
        usual: NDArray[np.bool_] = np.asarray(np.isfinite(logits).all(axis=1))
        wide = np.array(wide_photos(job.dataset.test), dtype=np.int64)
        usual[wide] = False
        own = cls(np.flatnonzero(usual).astype(np.int64), logits[usual], embedding[usual])
        return own.joined_with(cls.served(job, wide)) if len(wide) else own

    def joined_with(self, other: HeldOutOutputs) -> HeldOutOutputs:
        """Both, in the order of the photos."""
        positions = np.concatenate([self.positions, other.positions])
        order = np.argsort(positions)
        logits, embedding = (
            np.concatenate([mine, others])[order] if len(others) else mine
            for mine, others in ((self.logits, other.logits), (self.embedding, other.embedding))
        )
        return HeldOutOutputs(positions[order], logits, embedding)

    @classmethod
    def served(cls, job: RecipeInputs, places: NDArray[np.int64]) -> HeldOutOutputs:
        """Through the bundle and the engine that predictions go through."""
        outputs = compute_outputs(
            bundles.load(job.run.bundle),
            [job.dataset.test.files[place] for place in places.tolist()],
            progress=job.progress,
        )
        return cls(places[outputs.positions], outputs.logits, outputs.embedding)


def wide_photos(part: DatasetSplit) -> list[int]:
    """Positions of photos that are so wide, or tall, that predictions may look at more of them than a recipe did."""
    sides = [(row.width or 1, row.height or 1) for row in part.rows]
    return [place for place, (width, height) in enumerate(sides) if is_wide(width, height)]


def measure(
    job: RecipeInputs, info: BundleInfo, reference: Mapping[str, NDArray[Any]], outputs: HeldOutOutputs
) -> HeldOutMetrics:
    """Decide about the test photos as predictions do.

    Args:
        job: Whose test photos these are.
        info: The bundle's, with its rules.
        reference: The arrays of ``reference.npz``: what the rules need, and which photos training has used.
        outputs: What the network says of the photos.
    """
    part, places = job.dataset.test, outputs.positions
    answers = LabelledAnswers.of(
        info, Postprocessor.from_arrays(info, reference), (outputs.logits, outputs.embedding), part.targets[places]
    )
    cache = cache_folder(job.config.data)
    subjects, _ = mark_seen(
        [Subject(part.rows[at], part.files[at], int(part.targets[at])) for at in places.tolist()],
        TrainingReference.from_arrays(reference),
        cache,
    )
    tested = answers.scorecard(independent_units(subjects, cache).all, sum(one.seen for one in subjects))
    missing = _missing(len(part) - len(places))
    return HeldOutMetrics(tuple(places.tolist()), answers.targets, answers.probabilities, missing, tested)


@dataclass(frozen=True)
class ReferenceLogits:
    """A few photos whose logits were computed otherwise than by the graph that is written.

    Attributes:
        files: The photos.
        logits: float32 ``[N, C]``.
    """

    files: Sequence[Path]
    logits: NDArray[np.float32]

    @classmethod
    def of(cls, dataset: Dataset, trained: TrainedModel) -> ReferenceLogits:
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


def check_served(bundle: Bundle, witnesses: ReferenceLogits) -> None:
    """Ask a bundle about photos whose logits are known.

    Raises:
        AnimalsError: It answers otherwise.
    """
    found = enumerate(decoded_files(witnesses.files, bundle.preprocess_spec))
    pixels = {index: one for index, one in found if not isinstance(one, ImageError)}  # the others are gone
    if not pixels:
        return
    logits = witnesses.logits[list(pixels)]
    served = start_engine(bundle, outputs=("logits",)).infer(np.stack(list(pixels.values())))["logits"]
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
