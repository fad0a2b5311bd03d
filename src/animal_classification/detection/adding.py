"""Wraps a foreign graph as a detector bundle, unchanged: what it is, is told or guessed from its shapes and metadata.

Ultralytics writes ``names``, ``imgsz``, ``stride`` and ``task`` into the metadata of what it exports, as Python
literals; animl writes ``class_dict``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from onnx import ModelProto
from pydantic import ValidationError

from animal_classification.bundle.graph import parse_graph
from animal_classification.data.detections import Category
from animal_classification.data.recognitions.categories import category_of
from animal_classification.detection.detector_bundle import BUILT_IN, DetectorBundle, own_directory, write_detector
from animal_classification.detection.graph_check import Shape, element_type, graph_inputs, shape_of
from animal_classification.detection.kinds import KINDS
from animal_classification.detection.schema import DetectorInfo, DetectorThreshold, KindName, NonMaximumSuppression
from animal_classification.errors import BundleError, BundleInvalidError, UsageError

_STRIDES = (8, 16, 32)
_LONGEST_METADATA = 1 << 16  # characters; a parser of Python takes a hundred times as much memory
_MOST_QUERIES = 1000  # of the kinds that give a fixed number of boxes; grids have thousands
_USUAL: tuple[Category, ...] = ("animal", "person", "vehicle")


@dataclass(frozen=True, kw_only=True)
class AddRequest:
    """What to wrap; fields are options of ``animals detectors add``, ``None`` where they are to be guessed."""

    file: Path
    name: str | None = None
    kind: str | None = None
    categories: tuple[str, ...] | None = None
    size: int | None = None
    threshold: float | None = None
    license: str | None = None
    into: Path | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class AddedDetector:
    """The bundle, and which of its properties were guessed."""

    bundle: DetectorBundle
    guessed: tuple[str, ...]


@dataclass
class _Guess:
    """A graph with what it says of itself."""

    model: ModelProto
    where: str
    said: Mapping[str, str] = field(init=False)
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.said = {one.key: one.value for one in self.model.metadata_props}
        self.names = _class_names(self.said)

    def size(self) -> int | None:
        """The side of the input."""
        for axis in shape_of(graph_inputs(self.model)[0])[1:]:
            if axis is not None and axis > 3:
                return axis
        found = re.search(r"\d+", self.said.get("imgsz", ""))
        return int(found[0]) if found else None

    def kind(self, size: int | None) -> KindName | None:
        """The kind; ``None`` where several would fit, or none."""
        outputs = {value.name: shape_of(value) for value in self.model.graph.output}
        if {"boxes", "scores"} <= outputs.keys() and element_type(graph_inputs(self.model)[0]) == "uint8":
            return "animals"
        if {"labels", "boxes", "scores"} <= outputs.keys() and len(graph_inputs(self.model)) == 2:
            return "rtdetrv2"
        if {"dets", "labels"} <= outputs.keys():
            return "rfdetr"
        first = next(iter(outputs.values()), ())
        return self._by_shape(first, size) if len(first) == 3 else None

    def _by_shape(self, shape: Shape, size: int | None) -> KindName | None:
        _, rows, columns = shape
        if rows is None or columns is None:
            return None
        cells = sum((size // stride) ** 2 for stride in _STRIDES) if size else -1
        few, classes = rows <= _MOST_QUERIES, len(self.names)
        fits: dict[KindName, bool] = {
            "ultralytics": columns == cells,
            "yolox": rows == cells,
            "yolov5": not few and rows != cells and columns > 5 and columns != cells,
            "end2end": few and columns == 6,
            "rtdetr": few and bool(classes) and columns == 4 + classes,
        }
        found = [kind for kind, does in fits.items() if does]
        return found[0] if len(found) == 1 else None

    def classes(self, kind: KindName) -> int | None:
        """How many classes the shapes tell of."""
        outputs = {value.name: shape_of(value) for value in self.model.graph.output}
        first = next(iter(outputs.values()), ())
        found = {
            "animals": lambda: outputs["scores"][-1],
            "yolox": lambda: _less(first[2], 5),
            "yolov5": lambda: _less(first[2], 5),
            "ultralytics": lambda: _less(first[1], 4),
            "rtdetr": lambda: _less(first[2], 4),
        }.get(kind)
        try:
            return found() if found else None
        except (KeyError, IndexError):
            return None


def add_detector(request: AddRequest) -> AddedDetector:
    """Wrap a graph.

    Raises:
        UsageError: Something is not known and cannot be guessed, or the name is taken.
        BundleInvalidError: The graph is not of that kind.
        OutputError: The system refuses.
    """
    try:
        data = request.file.read_bytes()
    except OSError as error:
        raise BundleError(f"{request.file}: cannot be read ({error.strerror})") from error
    guess = _Guess(parse_graph(data, str(request.file.parent), request.file.name), str(request.file))
    if not graph_inputs(guess.model):
        raise BundleInvalidError(f"{request.file}: the graph takes nothing in, so that it can be no detector")
    guessed: list[str] = []
    size = request.size or _told(guess.size(), "size", guessed)
    if size is None:
        raise UsageError(f"{request.file}: the graph does not say how large its input is: add --size")
    kind = cast("KindName | None", request.kind) or _told(guess.kind(size), "kind", guessed)
    if kind is None:
        raise UsageError(f"{request.file}: cannot tell what kind of graph this is: add --kind ({', '.join(KINDS)})")
    categories = _categories(request, guess, kind, guessed)
    name = request.name or re.sub(r"[^A-Za-z0-9._-]+", "-", request.file.stem).strip("-._") or "detector"
    if name == BUILT_IN:
        raise UsageError(f"{BUILT_IN!r} is built in: give another --name")
    typical = 0.2 if request.threshold is None else request.threshold
    try:
        info = DetectorInfo(
            name=name,
            license=request.license,
            kind=kind,
            categories=categories,
            input=KINDS[kind].input(size),
            threshold=DetectorThreshold(typical=typical, conservative=min(0.1, typical)),
            nms=NonMaximumSuppression() if KINDS[kind].suppresses else None,
            training=f"{request.file.name}, added with animals detectors add",
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UsageError(f"{request.file}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    card = f"# {name}\n\nA graph of kind {kind} from `{request.file.name}`, as it was.\n"
    folder = (request.into or own_directory()) / name
    return AddedDetector(write_detector(folder, info, data, card, overwrite=request.overwrite), tuple(guessed))


def _categories(request: AddRequest, guess: _Guess, kind: KindName, guessed: list[str]) -> tuple[Category, ...]:
    """Of each class, in order.

    Raises:
        UsageError: A name is none of the three, or they cannot be known.
    """
    words = request.categories
    if words is None:
        words = guess.names
        if not words and guess.classes(kind) in (1, 3):  # MegaDetector, and its students
            words = _USUAL[: guess.classes(kind)]
        if not words:
            raise UsageError(f"{request.file}: cannot tell what its classes are: add --categories animal,person,…")
        guessed.append(f"categories {', '.join(words)}")
    where = f"{request.file} (--categories says what its classes count as)"
    found = [category_of(word, where) for word in words]
    if None in found:
        raise UsageError(f"{request.file}: each of its classes is an animal, a person or a vehicle: add --categories")
    return tuple(category for category in found if category is not None)


def _told(value: Any, what: str, guessed: list[str]) -> Any:
    if value is not None:
        guessed.append(f"{what} {value}")
    return value


def _class_names(said: Mapping[str, str]) -> tuple[str, ...]:
    """In order; empty where the metadata do not say."""
    for key in ("names", "class_dict"):
        try:
            value = ast.literal_eval(said.get(key, "")[:_LONGEST_METADATA])
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            continue
        if isinstance(value, (list, tuple)):
            return tuple(map(str, value))
        if isinstance(value, dict) and value:
            by_number = {int(number): str(name) for number, name in value.items() if str(number).isdecimal()}
            return tuple(by_number[number] for number in sorted(by_number))
    return ()


def _less(length: int | None, by: int) -> int | None:
    return None if length is None else length - by
