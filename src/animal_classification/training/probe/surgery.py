"""What a probe changes of an ONNX graph: its last layer, and how large the photos are that it looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import GraphProto

_WEIGHT, _BIAS = "probe.weight", "probe.bias"


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
    outputs = [output for output in graph.graph.output if output.name != "logits"]
    nodes = [node for node in graph.graph.node if "logits" not in node.output]
    layer = helper.make_node("Gemm", ["embedding", _WEIGHT, _BIAS], ["logits"], name="probe", transB=1)
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [_batch(graph.graph), len(bias)])
    constants = [
        numpy_helper.from_array(np.ascontiguousarray(weight, dtype=np.float32), _WEIGHT),
        numpy_helper.from_array(np.ascontiguousarray(bias, dtype=np.float32), _BIAS),
    ]
    _replace(graph.graph.output, [logits, *outputs])
    _replace(graph.graph.node, [*nodes, layer])
    _replace(graph.graph.initializer, [*graph.graph.initializer, *constants])
    _drop_unused(graph.graph)
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


def _drop_unused(graph: GraphProto) -> None:
    """Leave out nodes and constants that no output needs: the old head, and what only it used."""
    needed = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
            needed.update(name for attribute in node.attribute for name in _inner_inputs(attribute.g))
    _replace(graph.node, kept[::-1])
    _replace(graph.initializer, [tensor for tensor in graph.initializer if tensor.name in needed])
    _replace(graph.value_info, [value for value in graph.value_info if value.name != "logits"])


def _inner_inputs(graph: GraphProto) -> set[str]:
    """What the nodes of a subgraph read, its own values included."""
    return {name for node in graph.node for name in node.input}


def _replace(field: object, values: list) -> None:  # type: ignore[type-arg]
    kept = [type(value).FromString(value.SerializeToString()) for value in values]
    del field[:]  # type: ignore[attr-defined]
    field.extend(kept)  # type: ignore[attr-defined]
