"""The linear layer at the end of the graph, read from the graph itself.

A class-activation map needs it: ``logits = weight @ mean(features) + bias`` says how much each place of the feature map
speaks for a class. Exporters and quantisers write that layer in a few ways; these are known, anything else is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from animal_classification.bundle.schema import MODEL_FILE
from animal_classification.errors import BundleInvalidError

Array = np.ndarray[Any, np.dtype[Any]]

# They carry the same numbers on (up to rounding), so the layer may sit on either side of them.
_TRANSPARENT = {"Cast", "Identity", "Dropout", "QuantizeLinear", "DequantizeLinear"}


def linear_head(model: ModelProto, where: str) -> tuple[Array, Array]:
    """The layer that makes ``logits`` from ``embedding``.

    Args:
        model: The parsed graph.
        where: The bundle's name, for messages.

    Returns:
        ``weight [C, D]`` and ``bias [C]``, both float32.

    Raises:
        BundleInvalidError: ``logits`` are not a linear function of ``embedding``.
    """
    try:
        weight, bias = _Graph(model).head()
        weight = np.ascontiguousarray(weight, dtype=np.float32)
        bias = np.asarray(bias, dtype=np.float32).reshape(-1)
        return weight, np.broadcast_to(bias, weight.shape[:1]).copy()
    except (LookupError, ValueError, TypeError) as error:
        raise BundleInvalidError(
            f"{where}: {MODEL_FILE}: logits are not one linear layer (Gemm, or MatMul and Add) "
            f"over embedding ({error}); heatmaps are not possible with this model"
        ) from error


class _Graph:
    """Finds who makes a value, and the value of what is constant."""

    def __init__(self, model: ModelProto) -> None:
        self._makers = {name: node for node in model.graph.node for name in node.output if name}
        self._tensors: dict[str, TensorProto] = {tensor.name: tensor for tensor in model.graph.initializer}

    def head(self) -> tuple[Array, Array]:
        name = self._source("logits")
        node = self._makers[name]
        if node.op_type == "Gemm":
            return self._gemm(node)
        if node.op_type == "MatMul":
            return self._matmul(node), np.zeros(1)
        if node.op_type == "Add":
            for product, bias in (node.input, reversed(node.input)):
                maker = self._makers.get(self._source(product))
                if maker is not None and maker.op_type == "MatMul":
                    return self._matmul(maker), self._constant(bias)
        raise ValueError(f"they come from {node.op_type}")

    def _gemm(self, node: NodeProto) -> tuple[Array, Array]:
        options = {"transA": 0, "transB": 0, "alpha": 1.0, "beta": 1.0, **_attributes(node)}
        if options["transA"]:
            raise ValueError("Gemm turns its input")
        self._expect_embedding(node.input[0])
        weight = self._constant(node.input[1])
        bias = self._constant(node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros(1)
        return options["alpha"] * (weight if options["transB"] else weight.T), options["beta"] * bias

    def _matmul(self, node: NodeProto) -> Array:
        self._expect_embedding(node.input[0])
        return self._constant(node.input[1]).T

    def _expect_embedding(self, name: str) -> None:
        if self._source(name) != self._source("embedding"):
            raise ValueError(f"the layer's input is {name}")

    def _source(self, name: str) -> str:
        """Goes back over the nodes that carry the same numbers on."""
        while (node := self._makers.get(name)) is not None and node.op_type in _TRANSPARENT:
            name = node.input[0]
        return name

    def _constant(self, name: str) -> Array:
        """The value of an initializer, or of the few operations that are applied to one."""
        if name in self._tensors:
            return numpy_helper.to_array(self._tensors[name])
        node = self._makers.get(name)
        if node is None or node.op_type not in _FOLD:
            raise ValueError(f"{name} is not constant")
        return _FOLD[node.op_type](_attributes(node), *(self._constant(part) for part in node.input if part))


def _attributes(node: NodeProto) -> dict[str, Any]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _value(attributes: Mapping[str, Any]) -> Array:
    return numpy_helper.to_array(attributes["value"])


def _dequantize(attributes: Mapping[str, Any], quantized: Array, scale: Array, zero: Array | int = 0) -> Array:
    """One scale for all, or one for each index of the axis that is named."""
    shape = [1] * quantized.ndim
    if scale.ndim:
        shape[attributes.get("axis", 1)] = scale.size
    difference = quantized.astype(np.float32) - np.asarray(zero, np.float32).reshape(shape)
    return difference * scale.astype(np.float32).reshape(shape)


_FOLD: dict[str, Callable[..., Array]] = {
    "Constant": _value,
    "Identity": lambda _, value: value,
    # Only ever widens (fp16 or bf16 to fp32) in front of this layer; the caller makes float32 of it.
    "Cast": lambda _, value: value,
    "Transpose": lambda attributes, value: np.transpose(value, attributes.get("perm")),
    "DequantizeLinear": _dequantize,
}
