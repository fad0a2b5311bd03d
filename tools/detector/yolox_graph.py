"""YOLOX-tiny (Ge et al. 2021, https://arxiv.org/abs/2107.08430) as an ONNX graph, from the arrays of its checkpoint.

Written by hand after Megvii's Apache-2.0 code: batch norms are folded into their convolutions (eps 1e-3), boxes are
decoded in the graph, and the order of colours is turned in the first kernel. The result follows the contract of
`kind: animals` (docs/field.md): uint8 `[N, H, W, 3]` RGB in, where both sides are multiples of 32; `boxes` float32
`[N, K, 4]`, left, top, right and bottom in pixels of the input, and `scores` float32 `[N, K, C]` out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

EPSILON = 1e-3
STRIDES = (8, 16, 32)
BACKBONE = "backbone.backbone"
NECK = "backbone"


class Graph:
    """Collects nodes and constants; each method adds a layer and returns the name of what it gives."""

    def __init__(self, weights: Mapping[str, NDArray[Any]]) -> None:
        self.weights = weights
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, values: NDArray[Any] | Sequence[float] | Sequence[int], kind: Any = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(np.asarray(values, dtype=kind)), name))
        return name

    def add(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def convolution(self, of: str, name: str, stride: int = 1) -> str:
        """A convolution with its batch norm folded in, and SiLU."""
        side = self.weights[f"{name}.conv.weight"].shape[2]
        return self._activated(of, name, self.weights[f"{name}.conv.weight"], stride, (side - 1) // 2)

    def focus(self, of: str, name: str) -> str:
        """Focus and the convolution of 3 x 3 after it: together one of 6 x 6 over every second pixel.

        Focus puts the four phases of a picture side by side, by row and column (0, 0), (1, 0), (0, 1) and (1, 1), each
        with three colours. These are turned as well: blue comes first in the weights, red in the input.
        """
        kernel = self.weights[f"{name}.conv.weight"]
        phases = kernel.reshape(len(kernel), 4, 3, 3, 3)[:, :, ::-1]
        wide = np.zeros((len(kernel), 3, 6, 6), kernel.dtype)
        for phase, (row, column) in enumerate(((0, 0), (1, 0), (0, 1), (1, 1))):
            wide[:, :, row::2, column::2] = phases[:, phase]
        return self._activated(of, name, wide, 2, 2)

    def _activated(self, of: str, name: str, kernel: NDArray[Any], stride: int, pad: int) -> str:
        scale, shift = self._norm(name)
        made = self.add(
            "Conv",
            [of, self.constant(kernel * scale[:, None, None, None]), self.constant(shift)],
            kernel_shape=list(kernel.shape[2:]),
            strides=[stride] * 2,
            pads=[pad] * 4,
        )
        return self.add("Mul", [made, self.add("Sigmoid", [made])])

    def plain(self, of: str, name: str) -> str:
        """A convolution of one pixel, with its bias and nothing after it."""
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return self.add("Conv", [of, self.constant(weight), self.constant(bias)], kernel_shape=[1, 1])

    def csp(self, of: str, name: str, *, shortcut: bool) -> str:
        """A cross-stage partial block (Wang et al. 2020)."""
        left, right = self.convolution(of, f"{name}.conv1"), self.convolution(of, f"{name}.conv2")
        index = 0
        while f"{name}.m.{index}.conv1.conv.weight" in self.weights:
            inner = self.convolution(left, f"{name}.m.{index}.conv1")
            inner = self.convolution(inner, f"{name}.m.{index}.conv2")
            left = self.add("Add", [inner, left]) if shortcut else inner
            index += 1
        return self.convolution(self.add("Concat", [left, right], axis=1), f"{name}.conv3")

    def part(self, of: str, starts: Sequence[int], ends: Sequence[int], axes: Sequence[int], step: int = 1) -> str:
        bounds = [self.constant(values, np.int64) for values in (starts, ends, axes, [step] * len(axes))]
        return self.add("Slice", [of, *bounds])

    def twice_as_large(self, of: str) -> str:
        scales = self.constant([1, 1, 2, 2])
        return self.add(
            "Resize",
            [of, "", scales],
            mode="nearest",
            nearest_mode="floor",
            coordinate_transformation_mode="asymmetric",
        )

    def _norm(self, name: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        gain, bias, mean, variance = (
            self.weights[f"{name}.bn.{key}"] for key in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gain / np.sqrt(variance + EPSILON)
        return scale, bias - mean * scale


def yolox(weights: Mapping[str, NDArray[Any]]) -> ModelProto:
    """The whole network, in float32."""
    graph = Graph(weights)
    features = _neck(graph, *_backbone(graph, "images"))
    levels = [_head(graph, features[level], level, step) for level, step in enumerate(STRIDES)]
    boxes, scores = (graph.add("Concat", list(parts), axis=1) for parts in zip(*levels, strict=True))
    graph.nodes.append(helper.make_node("Identity", [boxes], ["boxes"]))
    graph.nodes.append(helper.make_node("Identity", [scores], ["scores"]))
    classes = len(weights["head.cls_preds.0.bias"])
    described = helper.make_graph(
        graph.nodes,
        "yolox",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", "H", "W", 3])],
        [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["N", "K", 4]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", "K", classes]),
        ],
        graph.constants,
    )
    model = helper.make_model(described, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model


def _backbone(graph: Graph, images: str) -> tuple[str, str, str]:
    planes = graph.add("Transpose", [images], perm=[0, 3, 1, 2])  # before the cast: a quarter of the bytes
    stem = graph.focus(graph.add("Cast", [planes], to=TensorProto.FLOAT), f"{BACKBONE}.stem.conv")
    dark2 = graph.csp(graph.convolution(stem, f"{BACKBONE}.dark2.0", 2), f"{BACKBONE}.dark2.1", shortcut=True)
    dark3 = graph.csp(graph.convolution(dark2, f"{BACKBONE}.dark3.0", 2), f"{BACKBONE}.dark3.1", shortcut=True)
    dark4 = graph.csp(graph.convolution(dark3, f"{BACKBONE}.dark4.0", 2), f"{BACKBONE}.dark4.1", shortcut=True)
    narrow = graph.convolution(graph.convolution(dark4, f"{BACKBONE}.dark5.0", 2), f"{BACKBONE}.dark5.1.conv1")
    pooled = [
        graph.add("MaxPool", [narrow], kernel_shape=[side, side], strides=[1, 1], pads=[side // 2] * 4)
        for side in (5, 9, 13)
    ]
    wide = graph.convolution(graph.add("Concat", [narrow, *pooled], axis=1), f"{BACKBONE}.dark5.1.conv2")
    return dark3, dark4, graph.csp(wide, f"{BACKBONE}.dark5.2", shortcut=False)


def _neck(graph: Graph, dark3: str, dark4: str, dark5: str) -> tuple[str, str, str]:
    def joined(first: str, second: str, name: str) -> str:
        return graph.csp(graph.add("Concat", [first, second], axis=1), f"{NECK}.{name}", shortcut=False)

    top = graph.convolution(dark5, f"{NECK}.lateral_conv0")
    middle = graph.convolution(joined(graph.twice_as_large(top), dark4, "C3_p4"), f"{NECK}.reduce_conv1")
    fine = joined(graph.twice_as_large(middle), dark3, "C3_p3")
    medium = joined(graph.convolution(fine, f"{NECK}.bu_conv2", 2), middle, "C3_n3")
    coarse = joined(graph.convolution(medium, f"{NECK}.bu_conv1", 2), top, "C3_n4")
    return fine, medium, coarse


def _head(graph: Graph, of: str, level: int, stride: int) -> tuple[str, str]:
    """Boxes `[N, h * w, 4]` and scores `[N, h * w, C]` of one level."""
    stem = graph.convolution(of, f"head.stems.{level}")

    def branch(name: str) -> str:
        return graph.convolution(graph.convolution(stem, f"head.{name}.{level}.0"), f"head.{name}.{level}.1")

    classes, regression = branch("cls_convs"), branch("reg_convs")
    offsets = _listed(graph, graph.plain(regression, f"head.reg_preds.{level}"), 4)
    seen = graph.add("Sigmoid", [_listed(graph, graph.plain(regression, f"head.obj_preds.{level}"), 1)])
    kinds = len(graph.weights[f"head.cls_preds.{level}.bias"])
    of_class = graph.add("Sigmoid", [_listed(graph, graph.plain(classes, f"head.cls_preds.{level}"), kinds)])
    grid = _grid(graph, of)
    step = graph.constant(np.array(stride))
    centre = graph.add("Mul", [graph.add("Add", [graph.part(offsets, [0], [2], [2]), grid]), step])
    half_step = graph.constant(np.array(stride / 2))
    half = graph.add("Mul", [graph.add("Exp", [graph.part(offsets, [2], [4], [2])]), half_step])
    corners = [graph.add("Sub", [centre, half]), graph.add("Add", [centre, half])]
    return graph.add("Concat", corners, axis=2), graph.add("Mul", [seen, of_class])


def _listed(graph: Graph, of: str, channels: int) -> str:
    """`[N, channels, h, w]` as `[N, h * w, channels]`."""
    flat = graph.add("Reshape", [of, graph.constant([0, channels, -1], np.int64)])
    return graph.add("Transpose", [flat], perm=[0, 2, 1])


def _grid(graph: Graph, of: str) -> str:
    """Column and row of each cell, `[1, h * w, 2]`, of features `[N, C, h, w]`."""
    shape = graph.add("Shape", [of])
    both = graph.part(shape, [2], [4], [0])
    lines = []
    for axis, form in ((1, [1, -1]), (0, [-1, 1])):  # columns run along a row, rows along a column
        length = graph.add("Gather", [both, graph.constant(np.array(axis), np.int64)])
        zero, one = (graph.constant(np.array(value), np.int64) for value in (0, 1))
        run = graph.add("Cast", [graph.add("Range", [zero, length, one])], to=TensorProto.FLOAT)
        spread = graph.add("Expand", [graph.add("Reshape", [run, graph.constant(form, np.int64)]), both])
        lines.append(graph.add("Reshape", [spread, graph.constant([1, -1, 1], np.int64)]))
    return graph.add("Concat", lines, axis=2)
