"""A graph whose layers compute in eight bits: by the tools of ONNX Runtime, in the form that OpenVINO runs too.

Weights are int8, from -64 to 64, with a scale for each output channel, activations uint8 with one range for a tensor,
and a clip (ReLU, ReLU6) is merged into the range of what it gives. The last layer computes in float32 with int8
weights, so that logits and embedding are not rounded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

import numpy as np
from onnx import ModelProto

from animal_classification.export.calibration_ranges import Range
from animal_classification.export.weight_storage import with_int8_head

# What is computed in eight bits, or carries eight bits on.
LAYERS = ("Conv", "Gemm", "MatMul")
OPERATORS = (*LAYERS, "Clip", "Relu", "Add", "MaxPool")
_CLIPS = ("Clip", "Relu")
_MOST_NAMES_TRIED = 10_000


def quantised(model: ModelProto, ranges: Mapping[str, Range], in_float: Collection[str] = ()) -> ModelProto:
    """The graph in eight bits.

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
        reduce_range=True,  # see weights.by_channel
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
