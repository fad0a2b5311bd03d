"""A detector in milliseconds, of any kind, that finds coloured rectangles: red is class 0, green is class 1.

The graph is made by hand: it marks the pixels of a colour and gives the box around them, in the layout of its kind,
from the input of its kind. A wrong order of colours, scale of pixels or letterbox gives other boxes, or none.
Kinds whose boxes are still to be thinned out give the red box twice, the second time less sure and two pixels aside.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from animal_classification.detection.detector_bundle import DetectorBundle, write_detector
from animal_classification.detection.kinds import KINDS
from animal_classification.detection.schema import DetectorInfo, DetectorThreshold, NonMaximumSuppression

SIZE = 640
CATEGORIES = ("animal", "person", "vehicle")
SCORES = (0.9, 0.8)
_TWIN = 0.5
_LOGIT = {score: float(np.log(score / (1 - score))) for score in (*SCORES, _TWIN)}


@dataclass
class _Graph:
    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)

    def constant(self, values: Any, kind: Any = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype=kind), name))
        return name

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def channel(self, images: str, index: int) -> str:
        """``[N, S, S]`` of float32 ``[N, 3, S, S]``."""
        return self.add("Gather", images, self.constant(index, np.int64), axis=1)

    def box(self, red: str, green: str, blue: str, wanted: int, size: int) -> str:
        """Corners ``[N, 1, 4]`` around the pixels whose channel ``wanted`` is high and whose others are low."""
        high, low = self.constant(0.7), self.constant(0.3)  # grey is neither, whatever a JPEG makes of it
        marks = [
            self.add("Greater", one, high) if index == wanted else self.add("Less", one, low)
            for index, one in enumerate((red, green, blue))
        ]
        mask = self.add("Cast", self.add("And", self.add("And", *marks[:2]), marks[2]), to=TensorProto.FLOAT)
        places = np.arange(size, dtype=np.float32)
        parts = []
        for axis in (1, 2):  # over rows: columns are left; over columns: rows are left
            profile = self.add("ReduceMax", mask, axes=[axis], keepdims=0)
            near = self.add("Mul", profile, self.constant(size - places))
            far = self.add("Mul", profile, self.constant(places + 1))
            start = self.add("Sub", self.constant(float(size)), self.add("ReduceMax", near, axes=[1], keepdims=1))
            parts.append((start, self.add("ReduceMax", far, axes=[1], keepdims=1)))
        (left, right), (top, bottom) = parts
        flat = self.add("Concat", left, top, right, bottom, axis=1)
        return self.add("Unsqueeze", flat, self.constant([1], np.int64))


def colour_graph(kind: str, *, size: int = SIZE, metadata: dict[str, str] | None = None) -> ModelProto:
    """The graph of a kind; its batch is of any size."""
    graph = _Graph()
    planes = _planes(graph, kind)
    red, green, blue = (graph.channel(planes, index) for index in range(3))
    boxes = [graph.box(red, green, blue, wanted, size) for wanted in (0, 1)]
    aside = graph.add("Add", boxes[0], graph.constant([2.0, 0.0, 2.0, 0.0]))
    corners = graph.add("Concat", *boxes, aside, axis=1)  # [N, 3, 4]
    outputs = _LAYOUTS[kind](graph, corners, size)
    inputs = [_image_input(kind, size)]
    if kind == "rtdetrv2":
        inputs.append(helper.make_tensor_value_info("orig_target_sizes", TensorProto.INT64, ["N", 2]))
    made = helper.make_graph(graph.nodes, "colours", inputs, outputs, graph.constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    for key, value in (metadata or {}).items():
        model.metadata_props.add(key=key, value=value)
    return model


def write_colour_detector(folder: Path, kind: str = "animals", *, size: int = SIZE) -> DetectorBundle:
    """A detector bundle of that kind in ``folder``."""
    info = DetectorInfo(
        name="colours",
        kind=kind,
        categories=CATEGORIES,
        input=KINDS[kind].input(size),
        threshold=DetectorThreshold(typical=0.2, conservative=0.1),
        nms=NonMaximumSuppression() if KINDS[kind].suppresses else None,
    )
    return write_detector(folder, info, colour_graph(kind, size=size).SerializeToString(), "# colours\n")


def _image_input(kind: str, size: int) -> Any:
    if kind == "animals":
        return helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", size, size, 3])
    return helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["N", 3, size, size])


def _planes(graph: _Graph, kind: str) -> str:
    """Float32 ``[N, 3, S, S]``, red first, 0 to 1, from the input of the kind."""
    if kind == "animals":
        pixels = graph.add("Transpose", graph.add("Cast", "images", to=TensorProto.FLOAT), perm=[0, 3, 1, 2])
        return graph.add("Div", pixels, graph.constant(255.0))
    if kind == "yolox":
        turned = graph.add("Gather", "pixels", graph.constant([2, 1, 0], np.int64), axis=1)
        return graph.add("Div", turned, graph.constant(255.0))
    if kind == "rfdetr":
        deviation = np.array([0.229, 0.224, 0.225], np.float32).reshape(3, 1, 1)
        mean = np.array([0.485, 0.456, 0.406], np.float32).reshape(3, 1, 1)
        return graph.add("Add", graph.add("Mul", "pixels", graph.constant(deviation)), graph.constant(mean))
    return graph.add("Identity", "pixels")


def _out(graph: _Graph, of: str, name: str, shape: list[Any], kind: int = TensorProto.FLOAT) -> Any:
    graph.nodes.append(helper.make_node("Identity", [of], [name]))
    return helper.make_tensor_value_info(name, kind, ["N", *shape])


def _centred(graph: _Graph, corners: str) -> str:
    """Corners as centre and size."""
    change = np.array([[0.5, 0, -1, 0], [0, 0.5, 0, -1], [0.5, 0, 1, 0], [0, 0.5, 0, 1]], np.float32)
    return graph.add("MatMul", corners, graph.constant(change))


def _beside(graph: _Graph, boxes: str, rest: Any) -> str:
    """``[N, 3, 4]`` with constant columns after them; repeated for each picture."""
    zeros = graph.add(
        "Mul", graph.add("Slice", boxes, *(graph.constant([v], np.int64) for v in (0, 1, 2))), graph.constant(0.0)
    )
    columns = graph.add("Add", zeros, graph.constant(np.array(rest, np.float32)[None]))
    return graph.add("Concat", boxes, columns, axis=2)


_ONE_HOT = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0]], np.float32)
_ALL = np.array([*SCORES, _TWIN], np.float32)
_WITHOUT_TWIN = np.array([*SCORES, 0.0], np.float32)


def _animals(graph: _Graph, corners: str, size: int) -> list[Any]:
    both = _beside(graph, corners, _ONE_HOT * _ALL[:, None])
    scores = graph.add("Slice", both, *(graph.constant([v], np.int64) for v in (4, 7, 2)))
    return [_out(graph, corners, "boxes", [3, 4]), _out(graph, scores, "scores", [3, 3])]


def _objectness(graph: _Graph, corners: str, size: int) -> list[Any]:
    rest = np.concatenate([_ALL[:, None], _ONE_HOT], axis=1)
    return [_out(graph, _beside(graph, _centred(graph, corners), rest), "output", [3, 8])]


def _transposed(graph: _Graph, corners: str, size: int) -> list[Any]:
    rows = _beside(graph, _centred(graph, corners), _ONE_HOT * _ALL[:, None])
    return [_out(graph, graph.add("Transpose", rows, perm=[0, 2, 1]), "output0", [7, 3])]


def _end2end(graph: _Graph, corners: str, size: int) -> list[Any]:
    rest = np.stack([_WITHOUT_TWIN, _ONE_HOT.argmax(axis=1)], axis=1)
    return [_out(graph, _beside(graph, corners, rest), "output0", [3, 6])]


def _rtdetr(graph: _Graph, corners: str, size: int) -> list[Any]:
    shares = graph.add("Div", _centred(graph, corners), graph.constant(float(size)))
    return [_out(graph, _beside(graph, shares, _ONE_HOT * _WITHOUT_TWIN[:, None]), "output0", [3, 7])]


def _rtdetrv2(graph: _Graph, corners: str, size: int) -> list[Any]:
    wanted = graph.add("Cast", "orig_target_sizes", to=TensorProto.FLOAT)  # [N, 2]: width, height
    scale = graph.add("Unsqueeze", graph.add("Concat", wanted, wanted, axis=1), graph.constant([1], np.int64))
    boxes = graph.add("Mul", graph.add("Div", corners, graph.constant(float(size))), scale)
    both = _beside(graph, boxes, np.stack([_WITHOUT_TWIN, _ONE_HOT.argmax(axis=1)], axis=1))
    scores = graph.add("Gather", both, graph.constant(4, np.int64), axis=2)
    labels = graph.add("Cast", graph.add("Gather", both, graph.constant(5, np.int64), axis=2), to=TensorProto.INT64)
    return [
        _out(graph, labels, "labels", [3], TensorProto.INT64),
        _out(graph, boxes, "boxes", [3, 4]),
        _out(graph, scores, "scores", [3]),
    ]


def _rfdetr(graph: _Graph, corners: str, size: int) -> list[Any]:
    shares = graph.add("Div", _centred(graph, corners), graph.constant(float(size)))
    logits = np.full((3, 4), -20.0, np.float32)
    logits[0, 0], logits[1, 1] = _LOGIT[SCORES[0]], _LOGIT[SCORES[1]]
    both = _beside(graph, shares, logits)
    scores = graph.add("Slice", both, *(graph.constant([v], np.int64) for v in (4, 8, 2)))
    return [_out(graph, shares, "dets", [3, 4]), _out(graph, scores, "labels", [3, 4])]


_LAYOUTS = {
    "animals": _animals,
    "yolox": _objectness,
    "yolov5": _objectness,
    "ultralytics": _transposed,
    "end2end": _end2end,
    "rtdetr": _rtdetr,
    "rtdetrv2": _rtdetrv2,
    "rfdetr": _rfdetr,
}
