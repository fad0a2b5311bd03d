"""The original and the export side by side: accuracy, agreement, size, speed. Through the engine that serves."""

from __future__ import annotations

import importlib
import importlib.util
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from animal_classification import imaging
from animal_classification.bundle.model import Bundle
from animal_classification.common.limits import available_cpus
from animal_classification.errors import ImageError, UsageError
from animal_classification.evaluation.outputs import Outputs, compute_outputs
from animal_classification.evaluation.resampling import bootstrap, mcnemar, mean_of
from animal_classification.evaluation.result import Interval
from animal_classification.evaluation.selection import Subject
from animal_classification.inference.decide import Decider
from animal_classification.inference.engine import BATCH, ENGINES, Engine, create_engine

ROUNDS = 15
TORCH = "torch"
# By name, because torch must not be imported (nor found by the import contract) where it is not asked for.
TORCH_MODULE = "animal_classification.training.neural.from_onnx"
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Answers:
    """What a model says of the measured photos; arrays are ``[N]`` over the photos that could be read.

    Attributes:
        positions: Which of the photos that were asked for these are.
        best: Positions of its answers among the labels.
        right: Whether they are right.
        refused: Whether the photo counts as unknown.
        covered: Whether the prediction set holds the truth; ``None`` where the model gives no sets.
    """

    positions: NDArray[np.int64]
    best: NDArray[np.int64]
    right: NDArray[np.bool_]
    refused: NDArray[np.bool_]
    covered: NDArray[np.bool_] | None


@dataclass(frozen=True)
class Compared:
    """An export beside its original, on the same photos.

    Attributes:
        n: Photos.
        accuracy: Of the original and of the export.
        drop: Points that the export loses, with what chance alone may have done to it.
        p_value: McNemar's: how often chance alone makes such a difference.
        agreement: Share of photos with the same answer.
        same_refusals: Share of photos that both, or neither, call unknown.
        coverage: Of the prediction sets, of both; ``None`` without sets.
    """

    n: int
    accuracy: tuple[float, float]
    drop: Interval
    p_value: float
    agreement: float
    same_refusals: float
    coverage: tuple[float, float] | None


def answers(bundle: Bundle, outputs: Outputs, measured: Sequence[Subject]) -> Answers:
    """Decide by the rules of the bundle."""
    targets = np.array([measured[index].target for index in outputs.positions], dtype=np.int64)
    labels = bundle.info.labels
    number = {label.id: index for index, label in enumerate(labels)}
    said = Decider.of(bundle).decide(outputs.logits, top_k=1, embeddings=outputs.embedding)
    best = np.array([number[one.label_id] for one in said], dtype=np.int64)
    covered = None
    if bundle.info.conformal is not None:
        names = [labels[target].name for target in targets]
        covered = np.array([name in one.set for name, one in zip(names, said, strict=True)], dtype=np.bool_)
    return Answers(
        outputs.positions, best, best == targets, np.array([one.unknown for one in said], dtype=np.bool_), covered
    )


def measure(
    bundle: Bundle, measured: Sequence[Subject], *, file: str, engine: str, threads: int | None, progress: Progress
) -> Answers:
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
        progress=lambda done, total: progress("measuring", done, total),
    )
    if not len(outputs.positions):
        raise UsageError(f"none of the {len(files)} photos to measure on can be read")
    return answers(bundle, outputs, measured)


def compared(original: Answers, export: Answers, units: NDArray[np.integer]) -> Compared:
    """Set two models side by side; ``units`` are equal for photos that are no two observations."""
    lost = original.right.astype(np.float64) - export.right.astype(np.float64)
    both = None
    if original.covered is not None and export.covered is not None:
        both = float(original.covered.mean()), float(export.covered.mean())
    drop = bootstrap(mean_of(100 * lost), units)
    return Compared(
        n=len(lost),
        accuracy=(float(original.right.mean()), float(export.right.mean())),
        drop=drop,
        p_value=mcnemar(int((lost > 0).sum()), int((lost < 0).sum())),
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
    """The engines that can run here, the preferred one first."""
    return [name for name in (*ENGINES, TORCH) if name != "auto" and importlib.util.find_spec(name) is not None]


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
    pixels: list[NDArray[np.uint8]] = []
    limits = imaging.Limits.of_container()
    for subject in measured:
        try:
            pixels.append(imaging.preprocess(subject.file, bundle.preprocess_spec, limits=limits))
        except ImageError:
            continue
        if len(pixels) == BATCH:
            break
    return np.stack([pixels[index % len(pixels)] for index in range(BATCH)])
