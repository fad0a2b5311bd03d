"""Calibration ranges: the values that each tensor of a graph takes on real photos."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from animal_classification.common.progress import Progress, silent
from animal_classification.inference.onnxruntime_import import import_onnxruntime

Range = tuple[float, float]

BATCH = 4
_AXES_ARE_INPUT = 18  # the opset from which ReduceMin takes its axes as an input
_ERRORS_ONLY = 3


@dataclass(frozen=True)
class Extremes:
    """The smallest and the largest value of a tensor, for each photo; ``[N]`` both."""

    lowest: NDArray[np.float32]
    highest: NDArray[np.float32]


def _widest(extremes: Extremes) -> Range:
    return float(extremes.lowest.min()), float(extremes.highest.max())


def _mean(extremes: Extremes) -> Range:
    return float(extremes.lowest.mean()), float(extremes.highest.mean())


def _usual(extremes: Extremes) -> Range:
    return float(np.quantile(extremes.lowest, 0.05)), float(np.quantile(extremes.highest, 0.95))


# From what photos need to what a tensor gets. A narrow range clips a few values and resolves all the others better.
RULES: Mapping[str, Callable[[Extremes], Range]] = {"widest": _widest, "mean": _mean, "usual": _usual}


def photo_extremes(
    model: ModelProto, images: NDArray[np.uint8], *, threads: int, progress: Progress = silent
) -> dict[str, Extremes]:
    """Run photos through a graph and note the extremes of every float tensor in it.

    Args:
        model: With float32 weights.
        images: uint8 ``[N, H, W, 3]``.
        threads: CPUs to use.
        progress: Told how many photos are done.
    """
    names = float_tensors(model)
    session = start_session(_watched(model, names), threads)
    outputs = [f"{name}{end}" for name in names for end in (".lowest", ".highest")]
    found: list[list[NDArray[np.float32]]] = []
    for start in range(0, len(images), BATCH):
        found.append(session.run(outputs, {"images": images[start : start + BATCH]}))
        progress("looking at ranges", min(start + BATCH, len(images)), len(images))
    columns = [np.concatenate(column) for column in zip(*found, strict=True)]
    return {name: Extremes(columns[2 * index], columns[2 * index + 1]) for index, name in enumerate(names)}


def float_tensors(model: ModelProto) -> list[str]:
    """Names of the float32 tensors that depend on the photo, in the order in which they are computed."""
    inferred = onnx.shape_inference.infer_shapes(model)
    known: dict[str, Any] = {value.name: value.type.tensor_type for value in inferred.graph.value_info}
    known |= {value.name: value.type.tensor_type for value in inferred.graph.output}
    made = (name for node in model.graph.node for name in node.output)
    return [
        name
        for name in made
        if name in known and known[name].elem_type == TensorProto.FLOAT and len(known[name].shape.dim) >= 2
    ]


def _watched(model: ModelProto, names: list[str]) -> ModelProto:
    """The graph with two more outputs ``[N]`` for each tensor."""
    result = ModelProto()
    result.CopyFrom(model)
    more, options = axes_arguments(result, (1,))
    for name in names:
        flat = f"{name}.flat"
        result.graph.node.append(helper.make_node("Flatten", [name], [flat], axis=1))
        for operator, end in (("ReduceMin", ".lowest"), ("ReduceMax", ".highest")):
            result.graph.node.append(helper.make_node(operator, [flat, *more], [f"{name}{end}"], keepdims=0, **options))
            result.graph.output.append(helper.make_tensor_value_info(f"{name}{end}", TensorProto.FLOAT, ["N"]))
    return result


def start_session(model: ModelProto, threads: int) -> Any:
    """A session of ONNX Runtime on a graph in memory."""
    ort = import_onnxruntime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = _ERRORS_ONLY
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def axes_arguments(model: ModelProto, axes: tuple[int, ...]) -> tuple[list[str], dict[str, Any]]:
    """Axes of a reducing node, as inputs or as attributes, which depends on the opset. May add a constant."""
    opset = next(one.version for one in model.opset_import if one.domain in ("", "ai.onnx"))
    if opset < _AXES_ARE_INPUT:
        return [], {"axes": list(axes)}
    model.graph.initializer.append(numpy_helper.from_array(np.array(axes, np.int64), "reduced.axes"))
    return ["reduced.axes"], {}
