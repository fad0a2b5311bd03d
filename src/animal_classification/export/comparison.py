"""The original and the export side by side: accuracy, agreement, size, speed. Through the engine that serves."""

from __future__ import annotations

import importlib
import importlib.util
import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from animal_classification.bundle.model import Bundle
from animal_classification.common.limits import available_cpus
from animal_classification.common.progress import Progress
from animal_classification.errors import ImageError, UsageError
from animal_classification.evaluation.eval_set import Subject
from animal_classification.evaluation.model_comparison import paired
from animal_classification.evaluation.model_outputs import compute_outputs
from animal_classification.evaluation.result import Interval, Paired
from animal_classification.evaluation.scorecard import LabelledAnswers
from animal_classification.inference.engine import BATCH, PREFERRED, Engine, create_engine
from animal_classification.inference.postprocess import Postprocessor
from animal_classification.inference.stream import decoded_files

ROUNDS = 15
TORCH = "torch"
# By name, because torch must not be imported (nor found by the import contract) where it is not asked for.
TORCH_MODULE = "animal_classification.export.torch.from_onnx"


@dataclass(frozen=True)
class MeasuredModel:
    """What a model says of the photos that could be read; arrays are ``[N]``.

    Attributes:
        positions: Which of the photos that were asked for these are.
        answers: What it says.
    """

    positions: NDArray[np.int64]
    answers: LabelledAnswers


@dataclass(frozen=True)
class Compared:
    """An export beside its original, on the same photos.

    Attributes:
        n: Photos.
        labels: Share of right labels, of the original and of the export.
        told: The same of what people are told.
        agreement: Share of photos with the same answer.
        same_refusals: Share of photos that both, or neither, call unknown.
        coverage: Of the prediction sets, of both; ``None`` without sets.
    """

    n: int
    labels: Paired
    told: Paired
    agreement: float
    same_refusals: float
    coverage: tuple[float, float] | None

    @property
    def drop(self) -> Interval:
        """Points of accuracy that the export loses."""
        return points(self.labels)

    @property
    def answered_drop(self) -> Interval:
        """Points of what people are told rightly that it loses."""
        return points(self.told)


def points(pair: Paired) -> Interval:
    """A difference of shares in points."""
    return Interval(**{name: 100 * value for name, value in pair.difference})


def measure(
    bundle: Bundle, measured: Sequence[Subject], *, file: str, engine: str, threads: int | None, progress: Progress
) -> MeasuredModel:
    """Send the measured photos through ``file`` of a bundle.

    Raises:
        UsageError: None of them can be read.
    """
    files = [one.file for one in measured]
    outputs = compute_outputs(
        bundle,
        files,
        running=start(engine, bundle.path / file, threads or available_cpus()),
        threads=threads,
        progress=progress,
    )
    if not len(outputs.positions):
        raise UsageError(f"none of the {len(files)} photos to measure on can be read")
    targets = np.array([measured[index].target for index in outputs.positions], dtype=np.int64)
    answers = LabelledAnswers.of(bundle.info, Postprocessor.of(bundle), (outputs.logits, outputs.embedding), targets)
    return MeasuredModel(outputs.positions, answers)


def compared(original: LabelledAnswers, export: LabelledAnswers, units: NDArray[np.integer]) -> Compared:
    """Set two models side by side; ``units`` are equal for photos that are no two observations."""
    both = None
    if original.covered is not None and export.covered is not None:
        both = float(original.covered.mean()), float(export.covered.mean())
    return Compared(
        n=len(original),
        labels=paired(original.right, export.right, units),
        told=paired(original.answered, export.answered, units),
        agreement=float((original.best == export.best).mean()),
        same_refusals=float((original.refused == export.refused).mean()),
        coverage=both,
    )


def speeds(
    models: Mapping[str, Mapping[str, Path]], images: NDArray[np.uint8], *, rounds: int = ROUNDS
) -> dict[str, dict[str, float]]:
    """Milliseconds a photo on one thread, for each engine and model: the median of runs that take turns.

    Whatever else the machine does slows all of them alike; compare within an engine, not across machines.

    Args:
        models: For each engine the graphs by name.
        images: uint8 ``[N, H, W, 3]``, one batch.
        rounds: How often each runs.
    """
    found: dict[str, dict[str, float]] = {}
    for engine, graphs in models.items():
        running = {name: start(engine, path, 1) for name, path in graphs.items()}
        times: dict[str, list[float]] = {name: [] for name in running}
        for number in range(rounds + 1):  # the first warms up
            for name, one in running.items():
                begun = time.perf_counter()
                one.infer(images)
                if number:
                    times[name].append(time.perf_counter() - begun)
        found[engine] = {name: 1000 * statistics.median(values) / len(images) for name, values in times.items()}
    return found


def installed_engines() -> list[str]:
    """The engines that can run here, the one that serves first."""
    return [name for name in (*PREFERRED, TORCH) if importlib.util.find_spec(name) is not None]


def start(name: str, path: Path, threads: int) -> Engine:
    """Start an engine on a file of a bundle.

    PyTorch is one here, for what was exported for it; an ONNX graph, to compare that with, runs as it is served.
    """
    if name != TORCH or path.suffix == ".onnx":
        wanted = "auto" if name == TORCH else name
        return create_engine(path, outputs=("logits", "embedding"), name=wanted, threads=threads)
    running: Engine = importlib.import_module(TORCH_MODULE).TorchEngine(path.read_bytes(), path.suffix)
    return running


def one_batch(measured: Sequence[Subject], bundle: Bundle) -> NDArray[np.uint8]:
    """Pixels of as many photos as predictions take at once, uint8 ``[2, H, W, 3]``."""
    with closing(decoded_files((one.file for one in measured), bundle.preprocess_spec, threads=1)) as found:
        pixels = list(islice((one for one in found if not isinstance(one, ImageError)), BATCH))
    return np.stack([pixels[index % len(pixels)] for index in range(BATCH)])
