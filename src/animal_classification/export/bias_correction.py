"""What rounding the weights of a convolution does to its output in the mean, so that the bias can take it back.

Rounded weights are right in the mean over weights, not over what they are multiplied with: inputs after a ReLU are
positive, so each channel's output is shifted, and the shifts of fifty layers add up. It is the correction of Nagel, van
Baalen, Blankevoort and Welling 2019, "Data-free quantization through weight equalization and bias correction", with the
mean input measured on photos. On the built-in model it takes away two thirds of the divergence (docs/optimisation.md).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from animal_classification.export.calibration_ranges import BATCH, reducing, start_session
from animal_classification.export.weight_storage import LAYER_MOST, by_channel

Shifts = Mapping[str, NDArray[np.float32]]
"""By the name of a convolution: how much less its output is in the mean with rounded weights, ``[C]``."""


def shifts(model: ModelProto, images: NDArray[np.uint8], *, threads: int) -> Shifts:
    """Measure them on photos, all in one pass.

    Args:
        model: With float32 weights and node names.
        images: uint8 ``[N, H, W, 3]``; some dozens are enough, since a channel's mean is over all places of a photo.
        threads: CPUs to use.
    """
    watched = ModelProto()
    watched.CopyFrom(model)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    more, options = reducing(watched, (0, 2, 3))
    names = [node.name for node in model.graph.node if node.op_type == "Conv" and node.input[1] in constants]
    if not names or not len(images):
        return {}
    for node in [node for node in model.graph.node if node.name in set(names)]:
        lost = _lost(numpy_helper.to_array(constants[node.input[1]]))
        weight, output, mean = (f"{node.name}.lost.{end}" for end in ("weight", "output", "mean"))
        twin = NodeProto()
        twin.CopyFrom(node)
        twin.name = output
        del twin.input[:]
        twin.input.extend([node.input[0], weight])
        twin.output[0] = output
        watched.graph.initializer.append(numpy_helper.from_array(lost, weight))
        watched.graph.node.append(twin)
        watched.graph.node.append(helper.make_node("ReduceMean", [output, *more], [mean], keepdims=0, **options))
        watched.graph.output.append(helper.make_tensor_value_info(mean, TensorProto.FLOAT, ["C"]))
    session = start_session(watched, threads)
    outputs = [f"{name}.lost.mean" for name in names]
    sums: list[Any] = [0.0] * len(names)
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        found = session.run(outputs, {"images": batch})
        sums = [before + len(batch) * one for before, one in zip(sums, found, strict=True)]
    return {name: (one / len(images)).astype(np.float32) for name, one in zip(names, sums, strict=True)}


def with_shifts(model: ModelProto, found: Shifts, in_float: Collection[str] = ()) -> ModelProto:
    """The graph whose biases take the shifts back, but for convolutions that stay in float32."""
    result = ModelProto()
    result.CopyFrom(model)
    constants = {tensor.name: tensor for tensor in result.graph.initializer}
    for node in result.graph.node:
        shift = found.get(node.name)
        if shift is None or node.name in in_float or not _has_constant_bias(node, constants):
            continue
        bias = shift + (numpy_helper.to_array(constants[node.input[2]]) if _biased(node) else 0)
        name = f"{node.name}.corrected_bias"
        result.graph.initializer.append(numpy_helper.from_array(bias.astype(np.float32), name))
        del node.input[2:]
        node.input.append(name)
    return result


def _biased(node: NodeProto) -> bool:
    return len(node.input) > 2 and bool(node.input[2])


def _has_constant_bias(node: NodeProto, constants: Mapping[str, TensorProto]) -> bool:
    return not _biased(node) or node.input[2] in constants


def _lost(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """What int8 leaves out, by output channel."""
    stored, scale = by_channel(weight, 0, LAYER_MOST)
    rounded = stored * scale.reshape(-1, *[1] * (weight.ndim - 1))
    return np.asarray(weight - rounded, dtype=np.float32)
