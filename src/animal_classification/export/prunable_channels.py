"""Which channels of a graph can be taken out, and the graph without them.

A *group* is what has to be cut together: the channels that one convolution makes, everything that carries them on
channel by channel (activations, pooling, depthwise convolutions), and the one convolution that mixes them. In an
inverted residual block that is the expanded width: pointwise, depthwise, pointwise. Channels that a sum joins, or that
leave the graph, are in no group. Batch norms are folded into the convolutions before a bundle is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

# Nodes that give each channel by itself, of whatever shape.
_BY_CHANNEL = frozenset({"Clip", "Relu", "Sigmoid", "HardSigmoid", "HardSwish", "LeakyRelu", "MaxPool", "AveragePool"})
_ELEMENTWISE = frozenset({"Add", "Mul"})


@dataclass(frozen=True)
class ChannelGroup:
    """Channels that go together.

    Attributes:
        producer: Position among the graph's nodes of the convolution that makes them.
        carriers: Of the depthwise convolutions that carry them on.
        consumer: Of the convolution that mixes them.
        width: How many there are.
        cost: Parameters that go with one of them.
    """

    producer: int
    carriers: tuple[int, ...]
    consumer: int
    width: int
    cost: int


@dataclass(frozen=True)
class Cut:
    """What becomes of a group.

    Attributes:
        kept: Positions of the channels that stay, ascending.
        weight: Of the consumer for these, ``[O, K, 1, 1]`` or larger kernels.
        bias: Of the consumer, ``[O]``.
    """

    kept: NDArray[np.int64]
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]


def groups(model: ModelProto) -> list[ChannelGroup]:
    """All groups of a graph with float32 weights, in the order in which they are computed."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = list(model.graph.node)
    found = []
    for index, node in enumerate(nodes):
        if node.op_type == "Conv" and group_count(node) == 1 and node.input[1] in constants:
            group = _group(model, index, constants)
            if group is not None:
                found.append(group)
    # Two groups never share a weight unless a graph uses one twice; then neither may be cut.
    uses = [name for node in nodes for name in node.input if name in constants]
    return [one for one in found if all(uses.count(name) == 1 for name in _weights(nodes, one))]


def without(model: ModelProto, cuts: Mapping[ChannelGroup, Cut]) -> ModelProto:
    """The graph without the channels that are not kept.

    Args:
        model: With float32 weights.
        cuts: By the order of the groups: a layer may be one's consumer and then another's producer.
    """
    result = ModelProto()
    result.CopyFrom(model)
    tensors = {tensor.name: tensor for tensor in result.graph.initializer}
    nodes = list(result.graph.node)
    for group, cut in cuts.items():
        for index in (group.producer, *group.carriers):
            for name in nodes[index].input[1:]:
                if name:
                    _put(tensors[name], numpy_helper.to_array(tensors[name])[cut.kept])
        for index in group.carriers:
            _set_group(nodes[index], len(cut.kept))
        consumer = nodes[group.consumer]
        _put(tensors[consumer.input[1]], cut.weight)
        if has_bias(consumer):
            _put(tensors[consumer.input[2]], cut.bias)
        else:
            del consumer.input[2:]
            consumer.input.append(f"{consumer.input[1]}.bias")
            result.graph.initializer.append(numpy_helper.from_array(cut.bias, consumer.input[2]))
            tensors[consumer.input[2]] = result.graph.initializer[-1]
    del result.graph.value_info[:]  # they state the old widths
    return result


def bottlenecks(model: ModelProto) -> list[tuple[int, str]]:
    """Tensors that everything after them depends on alone.

    Returns:
        Position of the first node after it, and its name, in the order of the graph; ``images`` is the first.
    """
    constants = {tensor.name for tensor in model.graph.initializer}
    nodes = list(model.graph.node)
    last_use: dict[str, int] = {value.name: len(nodes) for value in model.graph.output}
    for index, node in enumerate(nodes):
        for name in node.input:
            if name and name not in constants:
                last_use[name] = max(last_use.get(name, 0), index)
    alive, found = {"images"}, [(0, "images")]
    for index, node in enumerate(nodes[:-1]):
        alive |= {name for name in node.output if name in last_use}
        alive = {name for name in alive if last_use[name] > index}
        if len(alive) == 1:
            found.append((index + 1, next(iter(alive))))
    return found


def group_count(node: NodeProto) -> int:
    """Into how many groups a convolution divides its channels; 1 for a dense one."""
    return next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)


def has_bias(node: NodeProto) -> bool:
    """Whether a convolution has one."""
    return len(node.input) > 2 and bool(node.input[2])


def _group(model: ModelProto, producer: int, constants: Mapping[str, TensorProto]) -> ChannelGroup | None:
    nodes = list(model.graph.node)
    width = constants[nodes[producer].input[1]].dims[0]
    carried = {nodes[producer].output[0]}
    carriers: list[int] = []
    consumers: list[int] = []
    for index in range(producer + 1, len(nodes)):
        node = nodes[index]
        if not carried & set(node.input):
            continue
        if _carries(node, carried, constants, width):
            carried |= set(node.output)
            carriers += [index] if node.op_type == "Conv" else []
        elif node.op_type == "Conv" and group_count(node) == 1 and node.input[1] in constants:
            consumers.append(index)
        else:
            return None
    if len(consumers) != 1 or carried & {value.name for value in model.graph.output}:
        return None
    sizes = [int(np.prod(constants[name].dims)) for name in _own(nodes, (producer, *carriers), constants)]
    taken = int(np.prod(constants[nodes[consumers[0]].input[1]].dims))
    return ChannelGroup(producer, tuple(carriers), consumers[0], width, (sum(sizes) + taken) // width)


def _carries(node: NodeProto, carried: set[str], constants: Mapping[str, TensorProto], width: int) -> bool:
    """Whether it gives each channel by itself."""
    if node.op_type == "Conv":
        weight = constants.get(node.input[1])
        return weight is not None and group_count(node) == width == weight.dims[0] and node.input[0] in carried
    if node.op_type in _BY_CHANNEL:
        return node.input[0] in carried
    if node.op_type in _ELEMENTWISE:
        return all(
            name in carried or (name in constants and int(np.prod(constants[name].dims)) == 1) for name in node.input
        )
    return False


def _own(nodes: list[NodeProto], indices: tuple[int, ...], constants: Mapping[str, TensorProto]) -> list[str]:
    return [name for index in indices for name in nodes[index].input[1:] if name in constants]


def _weights(nodes: list[NodeProto], group: ChannelGroup) -> list[str]:
    return [name for index in (group.producer, *group.carriers, group.consumer) for name in nodes[index].input[1:]]


def _put(tensor: TensorProto, values: NDArray[np.float32]) -> None:
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), tensor.name))


def _set_group(node: NodeProto, count: int) -> None:
    for attribute in node.attribute:
        if attribute.name == "group":
            attribute.i = count
