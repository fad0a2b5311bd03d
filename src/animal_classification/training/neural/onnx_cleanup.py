"""What PyTorch's exporter leaves to whoever reads its graphs, done once: other tools need not know how it pads."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, load_model_from_string, numpy_helper
from onnx.reference import ReferenceEvaluator

# Shapes and paddings; weights are left to those who compute with them.
_SMALL = 1000


def tidied(model: bytes) -> bytes:
    """The same graph: constants are initializers, what depends on them alone is computed, convolutions pad."""
    graph = load_model_from_string(model)
    _fold(graph)
    _pad_in_convolutions(graph)
    used = {name for node in graph.graph.node for name in node.input} | {one.name for one in graph.graph.output}
    kept = [tensor for tensor in graph.graph.initializer if tensor.name in used]
    del graph.graph.initializer[:]
    graph.graph.initializer.extend(kept)
    return bytes(graph.SerializeToString())


def _fold(model: ModelProto) -> None:
    """Compute whatever depends on small constants alone."""
    known = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in model.graph.initializer
        if int(np.prod(tensor.dims)) <= _SMALL
    }
    wanted = {value.name for value in model.graph.output}
    nodes = []
    for node in model.graph.node:
        given = [name for name in node.input if name]
        drawn = not given and node.op_type != "Constant"  # random numbers, anew for every photo
        if drawn or wanted & set(node.output) or not all(name in known for name in given):
            nodes.append(node)
            continue
        for name, value in zip(node.output, _computed(model, node, {name: known[name] for name in given}), strict=True):
            known[name] = value
            model.graph.initializer.append(numpy_helper.from_array(value, name))
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _computed(model: ModelProto, node: NodeProto, given: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in given.items()
    ]
    outputs = [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in node.output]
    alone = helper.make_model(
        helper.make_graph([node], "constant", inputs, outputs), opset_imports=list(model.opset_import)
    )
    return [np.asarray(value) for value in ReferenceEvaluator(alone).run(None, given)]


def _pad_in_convolutions(model: ModelProto) -> None:
    """`Pad` and `Conv` are one `Conv`, where only zeros are put around height and width."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    pads = {node.output[0]: node for node in model.graph.node if node.op_type == "Pad"}
    for node in model.graph.node:
        if node.op_type == "Conv" and node.input[0] in pads:
            pad = pads[node.input[0]]
            around = _zeros_around(pad, constants)
            if around is None or any(one.name == "auto_pad" and one.s != b"NOTSET" for one in node.attribute):
                continue
            own = next((list(one.ints) for one in node.attribute if one.name == "pads"), [0] * len(around))
            kept = [one for one in node.attribute if one.name != "pads"]
            del node.attribute[:]
            node.attribute.extend(kept)
            node.attribute.append(helper.make_attribute("pads", [a + b for a, b in zip(own, around, strict=True)]))
            node.input[0] = pad.input[0]
    used = {name for node in model.graph.node for name in node.input} | {value.name for value in model.graph.output}
    for name, pad in pads.items():
        if name not in used:
            model.graph.node.remove(pad)


def _zeros_around(pad: NodeProto, constants: dict[str, TensorProto]) -> list[int] | None:
    """Before and after each axis of a photo, ``[top, left, bottom, right]``; ``None`` where it is something else."""
    mode = next((one.s for one in pad.attribute if one.name == "mode"), b"constant")
    if mode != b"constant" or len(pad.input) > 3 or pad.input[1] not in constants:
        return None
    value = pad.input[2] if len(pad.input) == 3 else ""
    if value and (value not in constants or numpy_helper.to_array(constants[value]).any()):
        return None
    amounts = numpy_helper.to_array(constants[pad.input[1]]).tolist()
    half = len(amounts) // 2
    before, after = amounts[:half], amounts[half:]
    if half != 4 or any(before[:2]) or any(after[:2]) or min(amounts) < 0:
        return None
    return [*before[2:], *after[2:]]
