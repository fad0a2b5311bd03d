"""Accuracy-aware quantisation: which ranges, and which layers stay in float32.

Two sets of photos, neither of them those that the export is measured on: one for the ranges, one to choose on. The
choice asks for no labels; it compares with the original's answers.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from animal_classification.common.parallel import ordered_map
from animal_classification.common.progress import Progress, renamed, silent
from animal_classification.export.agreement import Agreement, Original
from animal_classification.export.calibration_ranges import RULES, Extremes, photo_extremes
from animal_classification.export.quantization import (
    layers,
    output_shifts,
    quantised,
    with_corrected_biases,
    with_node_names,
)
from animal_classification.export.weight_storage import widened
from animal_classification.inference.engine import create_engine, infer_in_batches

# What may be lost on the photos to choose on, as a part of what may be lost in all: these photos are few.
MARGIN = 0.5
_RANKING_PHOTOS = 64
_SHIFT_PHOTOS = 64
_GROUP = 8


@dataclass(frozen=True)
class Int8:
    """A quantised graph, and how it came about.

    Attributes:
        model: The graph.
        rule: Which of ``RULES`` its ranges follow.
        in_float: Layers that stay in float32, the most harmful first.
        layers: How many there are.
        logits: What it says of the photos that were chosen on.
        likeness: To the original, on these photos.
    """

    model: ModelProto
    rule: str
    in_float: tuple[str, ...]
    layers: int
    logits: NDArray[np.float32]
    agreement: Agreement


@dataclass(frozen=True)
class CalibrationPhotos:
    """Pixels, uint8 ``[N, H, W, 3]`` both: for the ranges, and to choose on."""

    ranges: NDArray[np.uint8]
    choosing: NDArray[np.uint8]


def find_int8(
    model: ModelProto,
    photos: CalibrationPhotos,
    original: Original,
    *,
    max_drop: float,
    threads: int,
    progress: Progress,
) -> Int8:
    """Quantise all layers, and give back to float32 those that do most harm until the loss is small enough.

    Args:
        model: The original graph.
        photos: To calibrate with.
        original: What the original says of ``photos.choosing``.
        max_drop: Points of accuracy that may be lost; the search stops at half of it.
        threads: CPUs to use.
        progress: Told what is being done.
    """
    search = _Search(with_node_names(widened(model)), photos, original, threads, progress)
    best = min((search.attempt(rule, ()) for rule in RULES), key=lambda one: one.agreement.divergence)
    if best.agreement.expected_drop <= MARGIN * max_drop:
        return best
    in_float: list[str] = []
    wanted = 1
    for name in search.most_harmful_first(best.rule):
        in_float.append(name)
        if len(in_float) == wanted or len(in_float) == best.layers:
            best = search.attempt(best.rule, in_float)
            if best.agreement.expected_drop <= MARGIN * max_drop:
                break
            wanted *= 2
    return best


class _Search:
    """Attempts at one graph with one set of photos."""

    def __init__(
        self, model: ModelProto, photos: CalibrationPhotos, original: Original, threads: int, progress: Progress
    ) -> None:
        self._model, self._photos, self._original = model, photos, original
        self._threads, self._progress = threads, progress
        self._names = layers(model)
        self._shifts = output_shifts(model, photos.ranges[:_SHIFT_PHOTOS], threads=threads)
        self._attempts = 0
        self._extremes: dict[str, Extremes] = photo_extremes(
            model,
            photos.ranges,
            threads=threads,
            progress=progress,
        )

    def attempt(self, rule: str, in_float: Sequence[str]) -> Int8:
        self._attempts += 1
        graph = self._quantised(rule, in_float)
        logits = run_graph(
            graph,
            self._photos.choosing,
            self._threads,
            renamed(self._progress, f"trying, attempt {self._attempts}"),
        )
        return Int8(graph, rule, tuple(in_float), len(self._names), logits, self._original.agreement_of(logits))

    def most_harmful_first(self, rule: str) -> Iterator[str]:
        """Layers by how much nearer to the original the model gets with them in float32.

        Neighbours first together, then each alone, and only in the groups that are asked for: a run for each layer
        would take a minute.
        """
        groups = [self._names[start : start + _GROUP] for start in range(0, len(self._names), _GROUP)]
        for group in self._ranked(groups, rule):
            for single in self._ranked([[name] for name in group], rule):
                yield from single

    def _ranked(self, groups: Sequence[Sequence[str]], rule: str) -> list[Sequence[str]]:
        images = self._photos.choosing[:_RANKING_PHOTOS]
        original = Original(self._original.logits[:_RANKING_PHOTOS], self._original.labels, self._original.temperature)
        divergence = []
        for number, group in enumerate(groups):
            self._progress("ranking layers", number, len(groups))
            logits = run_graph(self._quantised(rule, group), images, self._threads)
            divergence.append(original.agreement_of(logits).divergence)
        return [groups[index] for index in np.argsort(divergence, kind="stable")]

    def _quantised(self, rule: str, in_float: Sequence[str]) -> ModelProto:
        ranges = {name: RULES[rule](extremes) for name, extremes in self._extremes.items()}
        return quantised(with_corrected_biases(self._model, self._shifts, in_float), ranges, in_float)


def run_graph(
    model: ModelProto, images: NDArray[np.uint8], threads: int, progress: Progress = silent
) -> NDArray[np.float32]:
    """Logits ``[N, C]``, by the engine that serves."""
    with tempfile.TemporaryDirectory(prefix="animals-export-") as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(model.SerializeToString())
        engine = create_engine(path, threads=threads)

        def work(batch: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
            return list(infer_in_batches(engine, np.stack(batch))["logits"])

        rows = ordered_map(
            work, images, threads=threads, progress=lambda done: progress("running the model", done, len(images))
        )
        return np.stack(list(rows))
