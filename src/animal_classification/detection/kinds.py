"""The kinds of graphs that find animals: what each takes, and how its output is read.

The output of every kind becomes the same: corners in pixels of the input, a score and a class for each candidate.
Where each layout comes from: YOLOX (Ge et al. 2021), YOLOv5's and Ultralytics' ``export.py``, RT-DETR and RT-DETRv2
(Zhao et al. 2024, Lv et al. 2024; ``deploy`` of their ``export_onnx.py``), RF-DETR's ``export``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from animal_classification.detection.schema import DetectorInput, FitName

Outputs = Sequence[NDArray[np.floating]]
_MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
_DEVIATION = np.array([0.229, 0.224, 0.225], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Candidates:
    """What a graph gives for one picture.

    Attributes:
        corners: ``[K, 4]``: left, top, right, bottom, in pixels of the input.
        scores: ``[K]``, 0 to 1.
        classes: ``[K]``, positions among the graph's classes.
    """

    corners: NDArray[np.floating]
    scores: NDArray[np.floating]
    classes: NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of graph.

    Attributes:
        fit: How a picture is fitted into the input, as the programs do it that the graphs come from.
        fill: What is put around it.
        interpolation: How it is resized.
        pixels: From uint8 ``[N, S, S, 3]`` RGB to the graph's input.
        outputs: Names of the outputs that are read, in order; empty: the first one.
        read: From these outputs, of one picture, to candidates. Told the side of the input and the number of classes.
        suppresses: Whether boxes that overlap are still to be thinned out.
        sized: The graph has a second input, the size to which boxes are scaled.
    """

    fit: FitName
    fill: int
    interpolation: str
    pixels: Callable[[NDArray[np.uint8]], NDArray[np.generic]]
    outputs: tuple[str, ...]
    read: Callable[[Outputs, int, int], Candidates]
    suppresses: bool
    sized: bool = False

    def input(self, size: int) -> DetectorInput:
        """Its usual input, with this side."""
        return DetectorInput.model_validate(
            {"size": size, "fit": self.fit, "fill": self.fill, "interpolation": self.interpolation}
        )


def _as_they_are(images: NDArray[np.uint8]) -> NDArray[np.generic]:
    return images


def _bgr_planes(images: NDArray[np.uint8]) -> NDArray[np.generic]:
    """float32 ``[N, 3, S, S]``, 0 to 255, blue first."""
    return np.ascontiguousarray(images[..., ::-1].transpose(0, 3, 1, 2), dtype=np.float32)


def _unit_planes(images: NDArray[np.uint8]) -> NDArray[np.generic]:
    """float32 ``[N, 3, S, S]``, 0 to 1."""
    planes: NDArray[np.float32] = np.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=np.float32)
    planes /= 255.0
    return planes


def _normal_planes(images: NDArray[np.uint8]) -> NDArray[np.generic]:
    """float32 ``[N, 3, S, S]``, by ImageNet's mean and deviation."""
    normal = (images.astype(np.float32) / 255.0 - _MEAN) / _DEVIATION
    return np.ascontiguousarray(normal.transpose(0, 3, 1, 2), dtype=np.float32)


def _read_animals(outputs: Outputs, side: int, classes: int) -> Candidates:
    corners, scores = outputs
    return _surest(corners, scores)


def _read_objectness(outputs: Outputs, side: int, classes: int) -> Candidates:
    """``[A, 5 + C]``: centre, size, objectness, classes."""
    rows = outputs[0]
    return _surest(_corners(rows[:, :4]), rows[:, 4:5] * rows[:, 5 : 5 + classes])


def _read_transposed(outputs: Outputs, side: int, classes: int) -> Candidates:
    """``[4 + C, A]``: centre, size, classes."""
    rows = outputs[0].T
    return _surest(_corners(rows[:, :4]), rows[:, 4 : 4 + classes])


def _read_end2end(outputs: Outputs, side: int, classes: int) -> Candidates:
    """``[K, 6]``: corners, score, class."""
    rows = outputs[0]
    return Candidates(rows[:, :4], rows[:, 4], np.rint(rows[:, 5]).astype(np.int64))


def _read_rtdetr(outputs: Outputs, side: int, classes: int) -> Candidates:
    """``[Q, 4 + C]``: centre and size in fractions, scores."""
    rows = outputs[0]
    return _surest(_corners(rows[:, :4]) * side, rows[:, 4 : 4 + classes])


def _read_rtdetrv2(outputs: Outputs, side: int, classes: int) -> Candidates:
    """``labels``, ``boxes``, ``scores``, each ``[Q, …]``; corners are scaled to the size that the graph was told."""
    labels, corners, scores = outputs
    return Candidates(corners, scores, labels.astype(np.int64))


def _read_rfdetr(outputs: Outputs, side: int, classes: int) -> Candidates:
    """``dets`` ``[Q, 4]``: centre and size in fractions; ``labels`` ``[Q, C]``: logits, with one more for nothing."""
    boxes, logits = outputs
    scores = 1.0 / (1.0 + np.exp(-np.clip(logits[:, :classes], -60.0, 60.0)))
    return _surest(_corners(boxes) * side, scores)


def _corners(boxes: NDArray[np.floating]) -> NDArray[np.floating]:
    """From centre and size."""
    half = boxes[:, 2:4] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


def _surest(corners: NDArray[np.floating], scores: NDArray[np.floating]) -> Candidates:
    """Each box with its most probable class."""
    return Candidates(corners, scores.max(axis=1), scores.argmax(axis=1))


KINDS: Mapping[str, Kind] = {
    "animals": Kind("pad_end", 0, "bicubic", _as_they_are, ("boxes", "scores"), _read_animals, suppresses=True),
    "yolox": Kind("pad_end", 114, "bilinear", _bgr_planes, (), _read_objectness, suppresses=True),
    "yolov5": Kind("pad_around", 114, "bilinear", _unit_planes, (), _read_objectness, suppresses=True),
    "ultralytics": Kind("pad_around", 114, "bilinear", _unit_planes, (), _read_transposed, suppresses=True),
    "end2end": Kind("pad_around", 114, "bilinear", _unit_planes, (), _read_end2end, suppresses=False),
    "rtdetr": Kind("stretch", 114, "bilinear", _unit_planes, (), _read_rtdetr, suppresses=False),
    "rtdetrv2": Kind(
        "stretch", 114, "bilinear", _unit_planes, ("labels", "boxes", "scores"), _read_rtdetrv2, suppresses=False,
        sized=True,
    ),
    "rfdetr": Kind("stretch", 114, "bilinear", _normal_planes, ("dets", "labels"), _read_rfdetr, suppresses=False),
}  # fmt: skip
