"""Which channels a network can spare, and what the others' weights become in their place.

Structured optimal brain surgeon. Taking out an input channel of a layer, with the best possible change of the weights
that stay, costs a squared error that is known in closed form from the second moments of the layer's inputs (Hassibi and
Stork 1993, "Second order derivatives for network pruning: Optimal brain surgeon"; for whole channels, one after the
other: Kurtić, Frantar and Alistarh 2023, "ZipLM"). So that errors of different layers can be compared, each is weighed
with the second moments of the outputs' gradients at that place (the Kronecker-factored Fisher information of Wang,
Grosse, Fidler and Zhang 2019, "EigenDamage"): to first order, what the model's answers lose. Labels are not asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper
from torch import Tensor
from torch.nn import functional

from animal_classification.export.prunable_channels import ChannelGroup, Cut, has_bias
from animal_classification.export.torch.from_onnx import GraphModule

# Of the mean second moment of a layer's inputs: keeps the inverse sound where channels say the same.
_DAMPING = 1e-3
BATCH = 32
# Channels go in packs, because engines compute in packs; thin layers are cut channel by channel.
PACK = 8
_THIN = 64
# Of a layer's channels, this share stays whatever they are worth.
_LEAST_KEPT = 1 / 8


@dataclass(frozen=True)
class Moments:
    """Second moments at a group's consumer, sums over places, means over photos.

    Attributes:
        inputs: ``[C * k * k + 1, ...]``, the last for the bias.
        gradients: ``[O, O]``, of the outputs; means over places.
    """

    inputs: Tensor
    gradients: Tensor


@dataclass(frozen=True)
class Pack:
    """Channels of a group that go at one time.

    Attributes:
        group: Whose.
        channels: Positions.
        cost: Error for each parameter that goes, so that packs of all groups can be compared.
    """

    group: ChannelGroup
    channels: tuple[int, ...]
    cost: float


def moments(
    model: ModelProto, groups: Sequence[ChannelGroup], first: int, given: str, activations: Tensor, temperature: float
) -> dict[ChannelGroup, Moments]:
    """Measure them.

    Args:
        model: The graph.
        groups: Behind ``first``.
        first: Position of the node where ``activations`` go in.
        given: The tensor that they are.
        activations: ``[N, ...]``.
        temperature: Of the model.
    """
    nodes = list(model.graph.node)
    consumers = [nodes[group.consumer] for group in groups]
    names = sorted({name for node in consumers for name in (node.input[0], node.output[0])})
    module = GraphModule(model, first=first, given=given, wanted=[*names, "logits", "embedding"]).eval()
    shapes = {one.name: tuple(one.dims) for one in model.graph.initializer}
    sums: dict[ChannelGroup, list[Any]] = {group: [0.0, 0.0] for group in groups}
    chance = torch.Generator().manual_seed(0)
    for batch in activations.split(BATCH):
        values = dict(zip([*names, "logits", "embedding"], module(batch.float().requires_grad_()), strict=True))
        score = _score(values["logits"] / temperature, values["embedding"], chance)
        gradients = torch.autograd.grad(score, [values[node.output[0]] for node in consumers])
        for group, node, gradient in zip(groups, consumers, gradients, strict=True):
            rows = _columns(node, shapes[node.input[1]], values[node.input[0]].detach())
            slopes = gradient.permute(0, 2, 3, 1).flatten(0, 2)
            places = gradient[0, 0].numel()
            sums[group][0] += (rows.T @ rows).double() / len(activations)
            sums[group][1] += (slopes.T @ slopes).double() / (len(activations) * places)
    return {group: Moments(*found) for group, found in sums.items()}


def packs(model: ModelProto, found: Mapping[ChannelGroup, Moments]) -> list[Pack]:
    """All packs, those first that cost least for each parameter; of a group in the order in which they go."""
    result = []
    for group, known in found.items():
        pack = PACK if group.width >= _THIN else 1
        cost, channels = 0.0, []
        for channel, error in order(weights_of(model, group), known, group.width):
            channels.append(channel)
            cost = max(cost, error)  # never less than what went before, so that the order is kept
            if len(channels) == pack:
                result.append(Pack(group, tuple(channels), cost / group.cost))
                channels = []
    return sorted(result, key=lambda one: one.cost)


def cuts(model: ModelProto, chosen: Sequence[Pack], found: Mapping[ChannelGroup, Moments]) -> dict[ChannelGroup, Cut]:
    """What stays when these packs go, with the weights that make up for them."""
    gone: dict[ChannelGroup, list[int]] = {}
    for pack in chosen:
        gone.setdefault(pack.group, []).extend(pack.channels)
    ordered = sorted(gone, key=lambda group: group.producer)
    return {group: _refitted(model, group, found[group], gone[group]) for group in ordered}


def weights_of(model: ModelProto, group: ChannelGroup) -> Tensor:
    """Of a group's consumer, with its bias as the last column: ``[O, C * k * k + 1]``."""
    tensors = {one.name: one for one in model.graph.initializer}
    node = model.graph.node[group.consumer]
    weight = numpy_helper.to_array(tensors[node.input[1]])
    bias = numpy_helper.to_array(tensors[node.input[2]]) if has_bias(node) else np.zeros(len(weight), np.float32)
    return torch.from_numpy(np.column_stack([weight.reshape(len(weight), -1), bias])).double()


def order(weight: Tensor, known: Moments, width: int) -> Iterator[tuple[int, float]]:
    """Channels in the order in which they go, each with the error that it adds.

    Taking one out is a step of a Cholesky decomposition of the inverse second moments, the cheapest pivot first: what
    is left of the inverse is ``inverse - taken @ taken.T``, which is never written down.

    Args:
        weight: ``[O, C * k * k + 1]``.
        known: At this place.
        width: How many channels there are.
    """
    size = (weight.shape[1] - 1) // width
    values, vectors = torch.linalg.eigh(known.gradients)
    left = (vectors * values.clamp_min(0).sqrt()).T @ weight
    inverse = torch.linalg.inv(_damped(known.inputs))
    blocks = inverse[:-1, :-1].reshape(width, size, width, size).diagonal(dim1=0, dim2=2).permute(2, 0, 1).clone()
    count = width - max(1, round(_LEAST_KEPT * width))
    taken = inverse.new_zeros(len(inverse), count * size)
    gone = torch.zeros(width, dtype=torch.bool)
    for number in range(count):
        mine = left[:, :-1].reshape(-1, width, size)
        errors = torch.einsum("ocx,cxy,ocy->c", mine, torch.linalg.inv(blocks), mine).clamp_min(0)
        errors[gone] = torch.inf
        channel = int(errors.argmin())
        yield channel, float(errors[channel])
        here = slice(channel * size, (channel + 1) * size)
        before = taken[:, : number * size]
        column = inverse[:, here] - before @ before[here].T
        root = torch.linalg.cholesky(column[here])
        step = torch.linalg.solve_triangular(root, column.T, upper=False).T
        taken[:, number * size : (number + 1) * size] = step
        left.addmm_(torch.linalg.solve_triangular(root, left[:, here].T, upper=False).T, step.T, alpha=-1)
        parts = step[:-1].reshape(width, size, size)
        blocks -= parts @ parts.transpose(1, 2)
        gone[channel] = True
        blocks[gone] = torch.eye(size, dtype=blocks.dtype)  # only to be invertible


def _refitted(model: ModelProto, group: ChannelGroup, known: Moments, gone: Sequence[int]) -> Cut:
    weight = weights_of(model, group)
    size = (weight.shape[1] - 1) // group.width
    kept = np.setdiff1d(np.arange(group.width), gone)
    stays, goes = _spread(kept, size), _spread(np.array(sorted(gone)), size)
    stays = torch.cat([stays, torch.tensor([weight.shape[1] - 1])])
    damped = _damped(known.inputs)
    change = torch.linalg.solve(damped[stays][:, stays], damped[stays][:, goes] @ weight[:, goes].T).T
    new = (weight[:, stays] + change).float().numpy()
    shape = next(
        tuple(one.dims)[2:] for one in model.graph.initializer if one.name == model.graph.node[group.consumer].input[1]
    )
    return Cut(kept, new[:, :-1].reshape(len(new), len(kept), *shape), new[:, -1])


def _spread(channels: NDArray[np.int64], size: int) -> Tensor:
    return torch.from_numpy((channels[:, None] * size + np.arange(size)).reshape(-1))


def _damped(inputs: Tensor) -> Tensor:
    extra = torch.full((len(inputs),), float(inputs.diagonal()[:-1].mean()) * _DAMPING, dtype=inputs.dtype)
    return inputs + torch.diag(extra.clamp_min(torch.finfo(torch.float32).tiny))


def _columns(node: NodeProto, shape: tuple[int, ...], inputs: Tensor) -> Tensor:
    """What the layer multiplies with its weights, and a one for its bias: ``[N * h * w, C * k * k + 1]``."""
    attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
    rows = functional.unfold(
        functional.pad(inputs, (left, right, top, bottom)),
        shape[2:],
        dilation=attributes.get("dilations", 1),
        stride=attributes.get("strides", 1),
    )
    rows = rows.permute(0, 2, 1).flatten(0, 1)
    return torch.cat([rows, rows.new_ones(len(rows), 1)], dim=1)


def _score(logits: Tensor, embedding: Tensor, chance: torch.Generator) -> Tensor:
    """A number whose gradients have the Fisher information of the answers, and of the embedding, as second moments."""
    logs = torch.log_softmax(logits, dim=1)
    answers = torch.multinomial(logs.detach().exp(), 1, generator=chance)
    noise = torch.randn(embedding.shape, generator=chance)
    spread = embedding.detach().var(dim=0).sum().sqrt().clamp_min(1e-6)
    return -logs.gather(1, answers).sum() + (noise * embedding).sum() / spread
