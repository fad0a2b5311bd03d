"""Int8 quantisation by the tools of ONNX Runtime, in the form that OpenVINO runs too.

Weights are int8, from -64 to 64, with a scale for each output channel, activations uint8 with one range for a tensor,
and a clip (ReLU, ReLU6) is merged into the range of what it gives. The last layer computes in float32 with int8
weights, so that logits and embedding are not rounded.

Bias correction (Nagel, van Baalen, Blankevoort and Welling 2019, "Data-free quantization through weight equalization
and bias correction"): rounded weights are right in the mean over weights, not over their inputs, which are positive
after a ReLU. So each channel's output is shifted, and the shifts of fifty layers add up. The biases take them back,
with the mean input measured on photos: two thirds of the built-in model's divergence go (docs/optimisation.md).
"""

# Imported where they are used: ONNX Runtime's quantisation tools take 200 ms to load.

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from animal_classification.export.calibration_ranges import BATCH, Range, axes_arguments, start_session
from animal_classification.export.weight_storage import LAYER_MOST, by_channel, with_int8_head

# What is computed in eight bits, or carries eight bits on.
LAYERS = ("Conv", "Gemm", "MatMul")
OPERATORS = (*LAYERS, "Clip", "Relu", "Add", "MaxPool")
_CLIPS = ("Clip", "Relu")
_MOST_NAMES_TRIED = 10_000
Shifts = Mapping[str, NDArray[np.float32]]
"""By the name of a convolution: how much less its output is in the mean with rounded weights, ``[C]``."""


def quantised(model: ModelProto, ranges: Mapping[str, Range], in_float: Collection[str] = ()) -> ModelProto:
    """Quantise a graph.

    Args:
        model: With float32 weights and a name for every node (:func:`with_node_names`).
        ranges: The values that every float tensor shall cover.
        in_float: Names of layers that stay in float32.
    """
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.calibrate import CalibrationMethod, TensorData, TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    copy = ModelProto()
    copy.CopyFrom(model)
    data = {name: TensorData(lowest=np.float32(low), highest=np.float32(high)) for name, (low, high) in ranges.items()}
    quantizer = QDQQuantizer(
        copy,
        per_channel=True,
        reduce_range=True,  # see weight_storage.by_channel
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=TensorsData(CalibrationMethod.MinMax, data),
        nodes_to_quantize=[],
        nodes_to_exclude=[*in_float, *_sums_of(model, in_float), *_after_embedding(model)],
        op_types_to_quantize=list(OPERATORS),
        extra_options={"WeightSymmetric": True},
    )
    quantizer.quantize_model()
    return with_int8_head(quantizer.model.model)


def _sums_of(model: ModelProto, in_float: Collection[str]) -> list[str]:
    """Names of the additions that take what a layer in float32 gives: rounding it there would undo the choice."""
    exact: set[str] = set()
    names = []
    for node in model.graph.node:
        if node.name in in_float or (node.op_type in _CLIPS and exact & set(node.input)):
            exact |= set(node.output)
        elif node.op_type == "Add" and exact & set(node.input):
            names.append(node.name)
    return names


def _after_embedding(model: ModelProto) -> list[str]:
    """Names of the nodes that make logits from the embedding: where the last layer is MatMul and Add."""
    reached, names = {"embedding"}, []
    for node in model.graph.node:
        if reached & set(node.input):
            reached |= set(node.output)
            names.append(node.name)
    return names


def layers(model: ModelProto) -> list[str]:
    """Names of what computes in eight bits and could stay in float, in the order in which it is computed.

    Convolutions, and linear layers before the embedding.
    """
    after = set(_after_embedding(model))
    return [node.name for node in model.graph.node if node.op_type in LAYERS and node.name not in after]


def with_node_names(model: ModelProto) -> ModelProto:
    """The same graph with a unique name for every node."""
    result = ModelProto()
    result.CopyFrom(model)
    counts = Counter(node.name for node in result.graph.node)
    for number, node in enumerate(result.graph.node):
        if not node.name or counts[node.name] > 1:
            node.name = next(
                name for i in range(_MOST_NAMES_TRIED) if (name := f"{node.op_type}_{number}_{i}") not in counts
            )
    return result


def output_shifts(model: ModelProto, images: NDArray[np.uint8], *, threads: int) -> Shifts:
    """Measure how much rounding shifts the mean output of each convolution, all in one pass.

    Args:
        model: With float32 weights and node names.
        images: uint8 ``[N, H, W, 3]``; some dozens are enough, since a channel's mean is over all places of a photo.
        threads: CPUs to use.
    """
    watched = ModelProto()
    watched.CopyFrom(model)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    more, options = axes_arguments(watched, (0, 2, 3))
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


def with_corrected_biases(model: ModelProto, found: Shifts, in_float: Collection[str] = ()) -> ModelProto:
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
