"""Finds animals in a picture: a detector bundle and an engine on it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any

import numpy as np

from animal_classification.common.limits import available_cpus
from animal_classification.data.detections import Detection
from animal_classification.detection.detector_bundle import DetectorBundle, load_detector
from animal_classification.detection.kinds import KINDS, Candidates
from animal_classification.detection.letterbox import Letterbox
from animal_classification.detection.nms import suppressed
from animal_classification.errors import EngineError
from animal_classification.inference.onnxruntime_import import import_onnxruntime

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animal_classification.detection.schema import DetectorInfo
    from animal_classification.imaging.photo import Photo

# Boxes are kept from here, and never more: what a user may count with another --threshold without a second run.
FLOOR = 0.05
MOST = 100
_SQUAREST = 1.25  # as wide as cameras' pictures are at least, in heights
_ERRORS_ONLY = 3


class Detector:
    """Boxes around animals, and around people and vehicles where the detector knows them.

    >>> detector = Detector.load("lite")
    >>> detector.info.categories
    ('animal',)

    Foreign graphs have inputs of their own names and types, so all of them run in ONNX Runtime, whatever ``--engine``
    says: one thread for a call, several calls side by side. One instance may be used from several threads at once.
    """

    def __init__(self, bundle: DetectorBundle, *, threads: int | None = None) -> None:
        self.bundle = bundle
        self._kind = KINDS[bundle.info.kind]
        self._graph = _DetectorGraph(bundle, threads or available_cpus())

    @classmethod
    def load(cls, name: str, *, threads: int | None = None) -> Detector:
        """Verify a detector and start an engine on it.

        Args:
            name: Of a detector of ``animals detectors list``, or a detector's folder.
            threads: CPUs to use; all that the process may use by default.

        Raises:
            BundleError: It is missing or damaged.
            EngineError: The engine refuses the graph.
        """
        return cls(load_detector(name), threads=threads)

    @property
    def info(self) -> DetectorInfo:
        """What the bundle says of itself."""
        return self.bundle.info

    @property
    def least_side(self) -> int:
        """The shorter side that a JPEG must keep when it is decoded at a reduced scale, in pixels.

        Pictures of 5:4 and wider then have at least as many pixels as the input.
        """
        return math.ceil(self.info.input.size / _SQUAREST)

    def find(self, photo: Photo) -> tuple[Detection, ...]:
        """Boxes from a confidence of ``FLOOR``, ``MOST`` at most, the surest first.

        Raises:
            EngineError: The engine failed.
        """
        wanted = self.info.input
        place = Letterbox.of(*photo.size, wanted)
        found = self._graph.run(self._kind.pixels(place.draw(photo, wanted)[None]))
        return self._detections(self._kept(found), place)

    def _kept(self, found: Candidates) -> Candidates:
        """Those that are sure enough and of a known class, thinned out where the graph did not do it."""
        known = (found.scores >= FLOOR) & (found.classes >= 0) & (found.classes < len(self.info.categories))
        known &= np.isfinite(found.corners).all(axis=1)
        found = Candidates(found.corners[known], found.scores[known], found.classes[known])
        rule = self.info.nms
        if rule is not None and self._kind.suppresses:
            order = suppressed(found.corners, found.scores, found.classes, iou=rule.iou, most=min(rule.max, MOST))
        else:
            order = np.argsort(-found.scores, kind="stable")[:MOST]
        return Candidates(found.corners[order], found.scores[order], found.classes[order])

    def _detections(self, found: Candidates, place: Letterbox) -> tuple[Detection, ...]:
        corners = place.to_picture(found.corners)
        boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
        return tuple(
            Detection(
                category=self.info.categories[int(class_)],
                confidence=min(1.0, float(score)),
                x=float(x),
                y=float(y),
                width=float(width),
                height=float(height),
            )
            for (x, y, width, height), score, class_ in zip(boxes, found.scores, found.classes, strict=True)
            if width > 0 and height > 0
        )


@dataclass
class _DetectorGraph:
    """A graph in ONNX Runtime, with whatever its inputs are called and hold."""

    bundle: DetectorBundle
    threads: int

    def __post_init__(self) -> None:
        self._slots = BoundedSemaphore(self.threads)
        self._session = self._start()
        self._kind = KINDS[self.bundle.info.kind]

    def run(self, pixels: NDArray[np.generic]) -> Candidates:
        """What it gives for one picture, ``[1, …]``; waits for a free slot."""
        side, classes = self.bundle.info.input.size, len(self.bundle.info.categories)
        with self._slots:
            try:
                values = self._session.run(self._outputs, self._feeds(pixels, side))
            except Exception as error:  # its exceptions share no public base class
                reason = str(error).strip().splitlines()[0]
                raise EngineError(f"ONNX Runtime failed on the detector {self.bundle.path}: {reason}") from error
        try:  # lengths that the graph leaves open turn out when it runs
            wide = [np.asarray(value[0], dtype=np.float32) for value in values]
            return self._kind.read(wide, side, classes)
        except (ValueError, IndexError, TypeError) as error:
            shapes = ", ".join(str(list(np.shape(value))) for value in values)
            raise EngineError(
                f"the detector {self.bundle.path} gave {shapes}, which is not what kind {self.bundle.info.kind} gives"
            ) from error

    def _start(self) -> Any:
        ort = import_onnxruntime()
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        try:
            return ort.InferenceSession(self.bundle.graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # as above
            reason = str(error).strip().splitlines()[0]
            raise EngineError(f"ONNX Runtime cannot run the detector {self.bundle.path}: {reason}") from error

    @cached_property
    def _outputs(self) -> list[str]:
        return list(self._kind.outputs) or [self._session.get_outputs()[0].name]

    def _feeds(self, pixels: NDArray[np.generic], side: int) -> Mapping[str, NDArray[np.generic]]:
        first, *more = self._session.get_inputs()
        half = first.type == "tensor(float16)"
        feeds: dict[str, NDArray[np.generic]] = {first.name: pixels.astype(np.float16) if half else pixels}
        if more:  # width and height that boxes are scaled to: those of the input, as for any other kind
            feeds[more[0].name] = np.array([[side, side]], dtype=np.int64)
        return feeds
