"""How a graph stores its weights: float32, half precision or eight bits. Computing precision is separate."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

# Below this a tensor is no weight worth the Cast: biases, ranges, shapes.
_LEAST_VALUES = 64
_HALF_MAX = float(np.finfo(np.float16).max)
# Of what is computed in eight bits; see by_channel. Weights that are widened before use need no such room.
LAYER_MOST, STORED_MOST = 64, 127
HEAD_OPERATORS = ("Gemm", "MatMul")


def widened(model: ModelProto) -> ModelProto:
    """The same graph with float32 weights: weights that are stored narrower and cast (or scaled) back are folded."""
    result = ModelProto()
    result.CopyFrom(model)
    constants = {tensor.name: tensor for tensor in result.graph.initializer}
    kept = []
    for node in result.graph.node:
        folded = _folded(node, constants)
        if folded is None:
            kept.append(node)
        else:
            constants[node.output[0]] = numpy_helper.from_array(folded, node.output[0])
    return _with(result, kept, constants.values())


def narrowed(model: ModelProto) -> ModelProto:
    """The same graph with weights in half precision, which a Cast widens when the model is loaded.

    What half precision cannot hold stays as it is: a weight beyond 65504 would become infinite.
    """
    result = widened(model)
    casts: list[NodeProto] = []
    tensors: list[TensorProto] = []
    taken = _names(result)
    for tensor in result.graph.initializer:
        values = numpy_helper.to_array(tensor)
        half = f"{tensor.name}.half"
        if values.dtype != np.float32 or not _fits_half(values) or half in taken:
            tensors.append(tensor)
            continue
        tensors.append(numpy_helper.from_array(values.astype(np.float16), half))
        casts.append(helper.make_node("Cast", [half], [tensor.name], name=f"{tensor.name}.widen", to=TensorProto.FLOAT))
    return _with(result, [*casts, *result.graph.node], tensors)


def with_int8_head(model: ModelProto) -> ModelProto:
    """The same graph with the weights of the last linear layer in eight bits, a scale for each class.

    The layer still computes in float32: it is a hundredth of the work, and in a model of many classes a quarter of the
    size. Left alone where the layer is written in another way than ``Gemm`` or ``MatMul`` over a constant.
    """
    result = ModelProto()
    result.CopyFrom(model)
    found = _head_weight(result)
    if found is None:
        return result
    name, axis = found
    tensors = {tensor.name: tensor for tensor in result.graph.initializer}
    quantised, scale = by_channel(numpy_helper.to_array(tensors.pop(name)), axis, STORED_MOST)
    constants: dict[str, NDArray[Any]] = {"int8": quantised, "scale": scale, "zero": np.zeros(len(scale), np.int8)}
    parts = [numpy_helper.from_array(value, f"{name}.{key}") for key, value in constants.items()]
    widen = helper.make_node("DequantizeLinear", [part.name for part in parts], [name], name=f"{name}.widen", axis=axis)
    return _with(result, [widen, *result.graph.node], [*tensors.values(), *parts])


def by_channel(values: NDArray[np.float32], axis: int, most: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Symmetric values in eight bits, at most ``most``, and a scale for each index of the axis.

    As ONNX Runtime rounds weights too, with 64 at most with ``reduce_range``: CPUs without VNNI add
    two products in 16 bits, and 255 * 127 twice would saturate there.
    """
    others = tuple(number for number in range(values.ndim) if number != axis)
    largest = np.abs(values).max(axis=others, keepdims=True)
    scale = np.where(largest > 0, largest, 1.0).astype(np.float32) / np.float32(most)
    return np.round(values / scale).astype(np.int8), scale.reshape(-1)


def parameters(model: ModelProto) -> int:
    """Number of weights and biases."""
    return sum(
        int(np.prod(tensor.dims))
        for tensor in widened(model).graph.initializer
        if tensor.data_type == TensorProto.FLOAT
    )


def float32_size(model: ModelProto) -> int:
    """Bytes of the graph with all its weights in float32: what the size of an export is compared with."""
    return int(widened(model).ByteSize())


def _folded(node: NodeProto, constants: dict[str, TensorProto]) -> NDArray[Any] | None:
    """What the node makes of constants, if it only widens weights."""
    if node.op_type not in ("Cast", "DequantizeLinear") or not all(name in constants for name in node.input if name):
        return None
    values = [numpy_helper.to_array(constants[name]) for name in node.input if name]
    if node.op_type == "Cast":
        wanted = next(attribute.i for attribute in node.attribute if attribute.name == "to")
        return np.asarray(values[0].astype(helper.tensor_dtype_to_np_dtype(wanted)))
    stored, scale, zero = (*values, np.zeros((), values[0].dtype))[:3]
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1)
    shape = [1] * stored.ndim
    if scale.ndim:
        shape[axis] = scale.size
    difference = stored.astype(np.float32) - np.asarray(zero, np.float32).reshape(shape if zero.ndim else ())
    return np.asarray(difference * scale.astype(np.float32).reshape(shape if scale.ndim else ()), np.float32)


def _fits_half(values: NDArray[Any]) -> bool:
    return values.ndim >= 2 and values.size >= _LEAST_VALUES and float(np.abs(values).max(initial=0.0)) <= _HALF_MAX


def _head_weight(model: ModelProto) -> tuple[str, int] | None:
    """Name of the last layer's float32 weight, and which of its axes are the classes."""
    makers = {name: node for node in model.graph.node for name in node.output}
    constants = {tensor.name for tensor in model.graph.initializer if tensor.data_type == TensorProto.FLOAT}
    node = makers.get("logits")
    if node is not None and node.op_type == "Add":
        node = next((makers[name] for name in node.input if name in makers), None)
    if node is None or node.op_type not in HEAD_OPERATORS or node.input[1] not in constants:
        return None
    turned = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
    return node.input[1], 0 if turned else 1


def _names(model: ModelProto) -> set[str]:
    values = {name for node in model.graph.node for name in (*node.input, *node.output)}
    return values | {tensor.name for tensor in model.graph.initializer}


def _with(model: ModelProto, nodes: Iterable[NodeProto], constants: Iterable[TensorProto]) -> ModelProto:
    """The model with these nodes, and those of the constants that they use."""
    nodes = list(nodes)
    used = {name for node in nodes for name in node.input} | {value.name for value in model.graph.output}
    constants = [tensor for tensor in constants if tensor.name in used]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    del model.graph.initializer[:]
    model.graph.initializer.extend(constants)
    return model
