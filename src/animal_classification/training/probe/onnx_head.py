"""What a probe changes of an ONNX graph: its last layer, and how large the photos are that it looks at."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, count
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import GraphProto

_NAME = "probe"  # of the node, and the beginning of its constants' names


def with_head(model: bytes, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> bytes:
    """Replace what makes ``logits``.

    Args:
        model: A bundle's ``model.onnx``.
        weight: ``[C, D]``, with D the width of ``embedding``.
        bias: ``[C]``.

    Returns:
        The graph with ``logits = embedding @ weight.T + bias`` of C classes; its other outputs are untouched.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    graph = onnx.load_model_from_string(model)
    batch = _batch(graph.graph)
    _drop_logits(graph.graph)
    # A graph that a probe has made already has such names, and more than the old head may use them.
    node, weight_name, bias_name = _free_names(graph.graph, (_NAME, f"{_NAME}.weight", f"{_NAME}.bias"))
    layer = helper.make_node("Gemm", ["embedding", weight_name, bias_name], ["logits"], name=node, transB=1)
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, len(bias)])
    constants = [
        numpy_helper.from_array(np.ascontiguousarray(weight, dtype=np.float32), weight_name),
        numpy_helper.from_array(np.ascontiguousarray(bias, dtype=np.float32), bias_name),
    ]
    _replace(graph.graph.output, [logits, *graph.graph.output])
    _replace(graph.graph.node, [*graph.graph.node, layer])
    _replace(graph.graph.initializer, [*graph.graph.initializer, *constants])
    result: bytes = graph.SerializeToString()
    return result


def with_size(model: bytes, size: int) -> bytes:
    """The same graph for photos of another size; its weights stay as they are.

    Args:
        model: A bundle's ``model.onnx``.
        size: Height and width of ``images``, in pixels.

    Raises:
        ValueError: It computes with one size only.
    """
    import onnx

    graph = onnx.load_model_from_string(model)
    images = next(value for value in graph.graph.input if value.name == "images")  # old graphs list constants as well
    _, height, width, _ = images.type.tensor_type.shape.dim
    height.dim_value = width.dim_value = size
    for output in graph.graph.output:
        for axis in output.type.tensor_type.shape.dim[2:]:  # of the feature map; shapes are inferred below
            axis.Clear()
    del graph.graph.value_info[:]
    try:
        inferred = onnx.shape_inference.infer_shapes(graph, check_type=True, strict_mode=True, data_prop=True)
    except onnx.shape_inference.InferenceError as error:
        raise ValueError(str(error).strip().splitlines()[0]) from error
    result: bytes = inferred.SerializeToString()
    return result


def _batch(graph: GraphProto) -> str:
    """The name of the free axis."""
    return next((value.type.tensor_type.shape.dim[0].dim_param for value in graph.input), "") or "N"


def _drop_logits(graph: GraphProto) -> None:
    """Leave out ``logits``, and every node and constant that only they needed: the old head."""
    _replace(graph.output, [output for output in graph.output if output.name != "logits"])
    needed = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
            needed.update(name for attribute in node.attribute for name in _inner_inputs(attribute.g))
    dropped = {tensor.name for tensor in graph.initializer} - needed
    _replace(graph.node, kept[::-1])
    _replace(graph.initializer, [tensor for tensor in graph.initializer if tensor.name not in dropped])
    _replace(graph.input, [value for value in graph.input if value.name not in dropped])  # old graphs list constants
    _replace(graph.value_info, [value for value in graph.value_info if value.name != "logits"])


def _free_names(graph: GraphProto, wanted: Sequence[str]) -> list[str]:
    """These names, each with a number at its end where the graph has it already."""
    taken = {tensor.name for tensor in graph.initializer} | {value.name for value in graph.input}
    for node in graph.node:
        taken.update([node.name, *node.input, *node.output])
    found = []
    for name in wanted:
        numbered = (f"{name}.{number}" for number in count(2))
        found.append(next(one for one in chain([name], numbered) if one not in taken))
    return found


def _inner_inputs(graph: GraphProto) -> set[str]:
    """What the nodes of a subgraph read, its own values included."""
    return {name for node in graph.node for name in node.input}


def _replace(field: object, values: list) -> None:  # type: ignore[type-arg]
    kept = [type(value).FromString(value.SerializeToString()) for value in values]
    del field[:]  # type: ignore[attr-defined]
    field.extend(kept)  # type: ignore[attr-defined]
