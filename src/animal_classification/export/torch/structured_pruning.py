"""Structured pruning: channels are taken out of a bundle's graph, and what is left is trained to answer as before."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, shape_inference
from torch import Tensor

from animal_classification.common.limits import available_memory
from animal_classification.common.parallel import ordered_map
from animal_classification.common.progress import Progress
from animal_classification.errors import AnimalsError
from animal_classification.export.prunable_channels import ChannelGroup, bottlenecks, groups, without
from animal_classification.export.torch.distill import Distilled, DistillPlan, recover
from animal_classification.export.torch.from_onnx import GraphModule
from animal_classification.export.torch.prune_scores import BATCH, Moments, Pack, cuts, moments, packs
from animal_classification.export.weight_storage import parameters, widened
from animal_classification.inference.engine import create_engine, infer_in_batches

# Channels are taken where this many times as many parameters stand as are to go: behind the last place where that is
# so, because what stands before it need not be computed again in every step.
_ROOM = 2.4
_MEASURED_ON = 256
# Of activations, for the photos of one step; as much again is needed for their gradients.
_MOST_BYTES = 4e9


@dataclass(frozen=True)
class PruningPlan:
    """How much goes, and what it may cost.

    Attributes:
        share: Of the parameters, to be taken out.
        temperature: Of the model.
        epochs: Passes of the recovery training over the photos.
        seconds: That it may take at most.
        threads: CPUs to use.
    """

    share: float
    temperature: float
    epochs: int
    seconds: float
    threads: int


@dataclass(frozen=True)
class Pruned:
    """What came out.

    Attributes:
        model: Weights and biases in float32.
        bare: The same before the recovery training.
        parameters: Of the original and of this.
        widths: Of every layer that lost channels: its weight's name, channels before and after.
        recovered: The training.
    """

    model: ModelProto
    bare: ModelProto
    parameters: tuple[int, int]
    widths: dict[str, tuple[int, int]]
    recovered: Distilled


def prune(model: ModelProto, photos: NDArray[np.uint8], plan: PruningPlan, progress: Progress) -> Pruned:
    """Prune a graph.

    Args:
        model: Of a bundle.
        photos: uint8 ``[N, H, W, 3]``, as they reach the graph; none that it will be measured on.
        plan: How much.
        progress: Told what is being done.

    Raises:
        AnimalsError: The graph has not so many channels that can be taken out, operators that are not known, or so much
            to compute anew that memory would not do.
    """
    torch.set_num_threads(plan.threads)
    torch.manual_seed(0)
    model = widened(model)
    first, given = _place(model, plan.share)
    if (needed := _bytes_of_a_step(model, first)) > _bytes_allowed():
        raise AnimalsError(
            f"taking out {plan.share:.0%} would take {2 * needed / 1e9:.0f} GB of memory: it has to begin where maps "
            "are large, or in two networks at once; choose a smaller --prune, --to int8, or a model that stands on one "
            "network (finetune: backbone=lite2)"
        )
    views = _views(model, photos, first, given, plan.threads, progress)
    teacher = GraphModule(model, first=first, given=given).eval()
    found = _moments(model, views, first, given, plan, progress)
    chosen = _enough(model, packs(model, found), found, plan.share)
    bare = without(model, cuts(model, chosen, found))
    student = GraphModule(bare, first=first, given=given, learning=True)
    recovery = DistillPlan(epochs=plan.epochs, seconds=plan.seconds, temperature=plan.temperature)
    recovered = recover(student, teacher, views, recovery, progress)
    pruned = _with_weights(bare, student.learned())
    return Pruned(pruned, bare, (parameters(model), parameters(pruned)), _widths(model, pruned), recovered)


def _place(model: ModelProto, share: float) -> tuple[int, str]:
    """Where to begin: position of the first node that is computed anew, and the tensor that it is given.

    Raises:
        AnimalsError: There is not so much to take out.
    """
    known, total = groups(model), parameters(model)
    for first, given in reversed(bottlenecks(model)):
        room = sum(group.cost * group.width for group in known if group.producer >= first)
        if room >= _ROOM * share * total:
            return first, given
    room = sum(group.cost * group.width for group in known)
    if room < share * total:
        raise AnimalsError(
            f"{share:.0%} of the parameters cannot be taken out: {room / total:.0%} belong to channels that can go; "
            "choose a smaller --prune"
        )
    return 0, "images"


def _bytes_allowed() -> float:
    """For the activations of a step: with their gradients, half of the memory that there is."""
    return min(_MOST_BYTES, (available_memory() or math.inf) / 4)


def _bytes_of_a_step(model: ModelProto, first: int) -> int:
    """Of all that is computed from this place on."""
    sized = ModelProto()
    sized.CopyFrom(model)
    for value in (*sized.graph.input, *sized.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = BATCH
    found = shape_inference.infer_shapes(sized).graph
    sizes = {
        value.name: 4 * math.prod(side.dim_value for side in value.type.tensor_type.shape.dim)
        for value in (*found.value_info, *found.output)
    }
    return sum(sizes.get(name, 0) for node in list(model.graph.node)[first:] for name in node.output)


def _views(
    model: ModelProto, photos: NDArray[np.uint8], first: int, given: str, threads: int, progress: Progress
) -> Tensor:
    """What the place is given for every photo, as it is and mirrored: ``[2, N, ...]``, in half precision."""
    both = np.stack([photos, photos[:, :, ::-1]])
    if given == "images":
        return torch.from_numpy(both)
    with tempfile.TemporaryDirectory(prefix="animals-export-") as folder:
        path = Path(folder) / "first.onnx"
        path.write_bytes(_beginning(model, first, given).SerializeToString())
        engine = create_engine(path, outputs=(given,), threads=threads)

        def work(batch: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.float16]]:
            return list(infer_in_batches(engine, np.stack(batch))[given].astype(np.float16))

        flat = both.reshape(-1, *both.shape[2:])

        def told(done: int) -> None:
            progress("looking at photos", done, len(flat))

        rows = np.stack(list(ordered_map(work, flat, threads=threads, progress=told)))
    return torch.from_numpy(rows.reshape(2, len(photos), *rows.shape[1:]))


def _beginning(model: ModelProto, first: int, given: str) -> ModelProto:
    """The graph up to a place."""
    result = ModelProto()
    result.CopyFrom(model)
    nodes = list(result.graph.node)[:first]
    used = {name for node in nodes for name in node.input}
    constants = [one for one in result.graph.initializer if one.name in used]
    for field in ("node", "initializer", "output", "value_info"):
        result.graph.ClearField(field)
    result.graph.node.extend(nodes)
    result.graph.initializer.extend(constants)
    result.graph.output.append(helper.make_tensor_value_info(given, TensorProto.FLOAT, None))
    return result


def _moments(
    model: ModelProto, views: Tensor, first: int, given: str, plan: PruningPlan, progress: Progress
) -> dict[ChannelGroup, Moments]:
    behind = [group for group in groups(model) if group.producer >= first]
    photos = torch.linspace(0, views.shape[1] - 1, min(_MEASURED_ON, views.shape[1])).round().long()
    progress("weighing channels", 0, 1)
    found = moments(model, behind, first, given, views[:, photos].flatten(0, 1), plan.temperature)
    progress("weighing channels", 1, 1)
    return found


def _enough(
    model: ModelProto, ordered: Sequence[Pack], found: dict[ChannelGroup, Moments], share: float
) -> Sequence[Pack]:
    """The cheapest packs that make up the share.

    Raises:
        AnimalsError: All of them do not.
    """
    wanted = (1 - share) * parameters(model)

    def left(count: int) -> int:
        return parameters(without(model, cuts(model, ordered[:count], found)))

    if (least := left(len(ordered))) > wanted:
        most = 1 - least / parameters(model)
        raise AnimalsError(
            f"{share:.0%} of the parameters cannot be taken out: with an eighth of every layer's channels left it is "
            f"{most:.0%}; choose a smaller --prune"
        )
    too_few, enough = 0, len(ordered)
    while enough - too_few > 1:
        middle = (enough + too_few) // 2
        too_few, enough = (too_few, middle) if left(middle) <= wanted else (middle, enough)
    return ordered[:enough]


def _with_weights(model: ModelProto, weights: dict[str, NDArray[np.float32]]) -> ModelProto:
    result = ModelProto()
    result.CopyFrom(model)
    for tensor in result.graph.initializer:
        if tensor.name in weights:
            tensor.CopyFrom(numpy_helper.from_array(weights[tensor.name], tensor.name))
    return result


def _widths(before: ModelProto, after: ModelProto) -> dict[str, tuple[int, int]]:
    def outputs(model: ModelProto) -> dict[str, int]:
        dims = {one.name: one.dims[0] for one in model.graph.initializer if len(one.dims) > 1}
        nodes: Sequence[NodeProto] = model.graph.node
        return {node.input[1]: dims[node.input[1]] for node in nodes if node.op_type == "Conv"}

    now = outputs(after)
    return {name: (width, now[name]) for name, width in outputs(before).items() if now[name] != width}
