"""The detector's graph in eight bits: half the size of half precision, and half the time where the CPU has VNNI.

The layers that give boxes and scores stay in float32: rounding them moves boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from animal_classification.detection.letterbox import Letterbox
from animal_classification.detection.schema import DetectorInput
from animal_classification.export.calibration_ranges import RULES, photo_extremes
from animal_classification.export.quantization import output_shifts, quantised, with_corrected_biases, with_node_names
from animal_classification.imaging.decoding import opened

MOST_PHOTOS = 48
RULE = "usual"
THREADS = 2


def in_eight_bits(graph: ModelProto, photos: Sequence[Path], wanted: DetectorInput) -> ModelProto:
    """Quantise a graph with float32 weights, with ranges and biases from photos."""
    images = _inputs(photos, wanted)
    named = with_node_names(graph)
    ranges = {name: RULES[RULE](found) for name, found in photo_extremes(named, images, threads=THREADS).items()}
    exact = _without_activation(named)
    shifts = output_shifts(named, images, threads=THREADS)
    return quantised(with_corrected_biases(named, shifts, exact), ranges, exact)


def _inputs(photos: Sequence[Path], wanted: DetectorInput) -> NDArray[np.uint8]:
    """uint8 `[N, S, S, 3]`, of one size for all."""
    square = wanted.model_copy(update={"multiple": None})
    drawn = []
    for path in photos[:: max(1, len(photos) // MOST_PHOTOS)][:MOST_PHOTOS]:
        with opened(path, min_side=wanted.size) as photo:
            drawn.append(Letterbox.of(*photo.size, square).draw(photo, square))
    return np.stack(drawn)


def _without_activation(graph: ModelProto) -> list[str]:
    """Names of the convolutions that SiLU does not follow: the last ones."""
    multiplied = {name for node in graph.graph.node if node.op_type == "Mul" for name in node.input}
    convolutions = [node for node in graph.graph.node if node.op_type == "Conv"]
    return [node.name for node in convolutions if node.output[0] not in multiplied]
