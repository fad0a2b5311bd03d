"""A PyTorch module that computes what a bundle's graph computes, from the graph itself: bundles keep no torch source.

It knows the operators that the recipes write; a graph with another one is refused by name.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from onnx import ModelProto, NodeProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from animal_classification.errors import AnimalsError

TORCHSCRIPT = ".pt"  # an ExportedProgram is a .pt2
OUTPUTS = ("logits", "embedding")
_WITH_WEIGHTS = ("Conv", "Gemm", "MatMul")
# By ONNX's numbers.
_TYPES: Mapping[int, torch.dtype] = {
    1: torch.float32,
    2: torch.uint8,
    6: torch.int32,
    7: torch.int64,
    10: torch.float16,
}
Attributes = Mapping[str, Any]
Operator = Callable[..., Tensor]


class GraphModule(nn.Module):
    """uint8 ``[N, H, W, 3]`` in; logits ``[N, C]`` and embedding ``[N, D]`` out.

    Args:
        model: The graph.
        first: Position of the first node that is computed, for a part of it.
        given: The tensor that it is given there.
        wanted: Tensors to give back; those of ``OUTPUTS`` that there are, by default.
        learning: Weights and biases are parameters.

    Raises:
        AnimalsError: The graph has an operator that is not known here.
    """

    def __init__(
        self,
        model: ModelProto,
        *,
        first: int = 0,
        given: str = "images",
        wanted: Sequence[str] | None = None,
        learning: bool = False,
    ) -> None:
        super().__init__()
        unknown = sorted({node.op_type for node in model.graph.node} - OPERATORS.keys())
        if unknown:
            raise AnimalsError(
                f"the graph cannot be turned into a PyTorch module: it has {', '.join(unknown)}; export the original "
                "and not a quantised model"
            )
        nodes = list(model.graph.node)[first:]
        used = {name for node in nodes for name in node.input}
        weights = {name for node in nodes if node.op_type in _WITH_WEIGHTS for name in node.input[1:]}
        constants = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer if one.name in used}
        self._places = {name: f"constant_{number}" for number, name in enumerate(constants)}
        for name, place in self._places.items():
            value = torch.from_numpy(constants[name].copy())
            if learning and name in weights:
                self.register_parameter(place, nn.Parameter(value))
            else:
                self.register_buffer(place, value)
        self._steps = [_step(node, constants) for node in nodes]
        self._given = given
        made = {output for _, _, output, _ in self._steps}
        self._wanted = tuple(wanted) if wanted is not None else tuple(name for name in OUTPUTS if name in made)

    def forward(self, given: Tensor) -> tuple[Tensor, ...]:
        values: dict[str, Tensor | None] = {name: getattr(self, place) for name, place in self._places.items()}
        values |= {"": None, self._given: given}
        for operator, inputs, output, attributes in self._steps:
            values[output] = operator(attributes, *(values[name] for name in inputs))
        return tuple(value for name in self._wanted if (value := values[name]) is not None)

    def learned(self) -> dict[str, np.ndarray[Any, Any]]:
        """Weights and biases by their names in the graph, where they are parameters."""
        parameters = dict(self.named_parameters())
        return {
            name: parameters[place].detach().cpu().numpy()
            for name, place in self._places.items()
            if place in parameters
        }


def to_torchscript(model: ModelProto, images: np.ndarray[Any, Any]) -> bytes:
    """The graph as TorchScript, which ``torch.jit.load`` reads without this package."""
    module, example = GraphModule(model).eval(), torch.from_numpy(images)
    stream = io.BytesIO()
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # about TorchScript's age
        torch.jit.save(torch.jit.freeze(torch.jit.trace(module, (example,))), stream)
    return stream.getvalue()


def to_exported_program(model: ModelProto, images: np.ndarray[Any, Any]) -> bytes:
    """The graph as an ExportedProgram, which ``torch.export.load`` reads without this package."""
    module, example = GraphModule(model).eval(), torch.from_numpy(images)
    count = torch.export.Dim("N", min=1, max=1024)
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(module, (example,), dynamic_shapes=({0: count},))
        torch.export.save(program, stream)
    return stream.getvalue()


class TorchEngine:
    """Runs what was exported; see :class:`animal_classification.inference.engine.Engine`."""

    name = "torch"

    def __init__(self, data: bytes, suffix: str) -> None:
        torch.set_num_threads(1)  # one a call, as in the other engines; calls run side by side
        stream = io.BytesIO(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._run = torch.jit.load(stream) if suffix == TORCHSCRIPT else torch.export.load(stream).module()

    def infer(self, images: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
        """Logits and embedding of images uint8 ``[N, H, W, 3]``."""
        with torch.inference_mode():
            found = self._run(torch.from_numpy(np.ascontiguousarray(images)))
        return {name: value.numpy() for name, value in zip(OUTPUTS, found, strict=True)}


def _step(
    node: NodeProto, constants: Mapping[str, np.ndarray[Any, Any]]
) -> tuple[Operator, tuple[str, ...], str, Attributes]:
    attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    inputs = tuple(node.input)
    if node.op_type == "ReduceMean" and len(inputs) > 1 and inputs[1] in constants:
        attributes["axes"], inputs = constants[inputs[1]].tolist(), inputs[:1]
    return OPERATORS[node.op_type], inputs, node.output[0], attributes


def _conv(attributes: Attributes, data: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return functional.conv2d(
        _padded(attributes, data, 0.0),
        weight,
        bias,
        stride=attributes.get("strides", 1),
        dilation=attributes.get("dilations", 1),
        groups=attributes.get("group", 1),
    )


def _max_pool(attributes: Attributes, data: Tensor) -> Tensor:
    size = attributes["kernel_shape"]
    return functional.max_pool2d(
        _padded(attributes, data, float("-inf")),
        size,
        stride=attributes.get("strides", [1] * len(size)),
        ceil_mode=bool(attributes.get("ceil_mode", 0)),
    )


def _padded(attributes: Attributes, data: Tensor, value: float) -> Tensor:
    """ONNX pads before and after each axis, torch alike on both sides: padded here, so that both are the same."""
    if attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise AnimalsError("the graph cannot be turned into a PyTorch module: it pads automatically (auto_pad)")
    top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
    if not any((top, left, bottom, right)):
        return data
    return functional.pad(data, (left, right, top, bottom), value=value)


def _gemm(attributes: Attributes, data: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    product = attributes.get("alpha", 1.0) * (data @ (weight.T if attributes.get("transB") else weight))
    return product if bias is None else product + attributes.get("beta", 1.0) * bias


def _reduce_mean(attributes: Attributes, data: Tensor) -> Tensor:
    return data.mean(dim=attributes.get("axes"), keepdim=bool(attributes.get("keepdims", 1)))


OPERATORS: Mapping[str, Operator] = {
    "Add": lambda _, a, b: a + b,
    "Cast": lambda attributes, a: a.to(_TYPES[attributes["to"]]),
    "Clip": lambda _, a, low=None, high=None: torch.clamp(a, low, high),
    "Concat": lambda attributes, *parts: torch.cat(parts, dim=attributes["axis"]),
    "Conv": _conv,
    "Div": lambda _, a, b: a / b,
    "Dropout": lambda _, a, *__: a,
    "Flatten": lambda attributes, a: a.flatten(attributes.get("axis", 1)),
    "Gemm": _gemm,
    "GlobalAveragePool": lambda _, a: a.mean(dim=(2, 3), keepdim=True),
    "Identity": lambda _, a: a,
    "MatMul": lambda _, a, b: a @ b,
    "MaxPool": _max_pool,
    "Mul": lambda _, a, b: a * b,
    "ReduceMean": _reduce_mean,
    "Relu": lambda _, a: functional.relu(a),
    "Sigmoid": lambda _, a: torch.sigmoid(a),
    "Sub": lambda _, a, b: a - b,
    "Transpose": lambda attributes, a: a.permute(*attributes["perm"]),
}
