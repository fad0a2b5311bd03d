"""What ``model.onnx`` takes and gives, checked against the contract without running it.

The engines would notice a wrong shape as well, but late, in their own words, and each in a different way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

from animal_classification.bundle.schema import MODEL_FILE, BundleInfo
from animal_classification.errors import BundleInvalidError

# An axis of unknown length is None.
Shape = tuple[int | None, ...]


def parse_graph(data: bytes, where: str, name: str = MODEL_FILE) -> ModelProto:
    """The parsed content of ``model.onnx``, or of another graph that is called ``name``.

    Raises:
        BundleInvalidError: Not an ONNX file, one that keeps weights in other files, or one in which a name stands for
            two values.
    """
    try:
        model = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise BundleInvalidError(f"{where}: {name} is not an ONNX file; export the model again") from error
    # Such a tensor names a path of its own, which no hash covers and which may lead out of the bundle.
    if any(tensor.data_location == TensorProto.EXTERNAL for tensor in _tensors(model)):
        raise BundleInvalidError(f"{where}: {name} keeps weights in another file; export it with all weights inside")
    if (twice := _twice(model)) is not None:
        raise BundleInvalidError(
            f"{where}: {name} has two values that are called {twice!r}, and engines differ in which they take; "
            "export the model again"
        )
    return model


def check_graph(model: ModelProto, info: BundleInfo, where: str) -> None:
    """Compares the graph's inputs and outputs with the contract and with ``bundle.json``.

    Raises:
        BundleInvalidError: Names the input or output, what it is, and what it must be.
    """
    size, labels, background = info.preprocess.size, len(info.labels), len(info.background)
    constants = {tensor.name for tensor in model.graph.initializer}  # old graphs list these as inputs too
    inputs = [value for value in model.graph.input if value.name not in constants]
    outputs = {value.name: value for value in model.graph.output}
    if [value.name for value in inputs] != ["images"]:
        names = ", ".join(value.name for value in inputs) or "none"
        raise BundleInvalidError(f"{where}: {MODEL_FILE} must have one input, images (it has: {names})")
    for name in ("logits", "embedding"):
        if name not in outputs:
            has = ", ".join(outputs) or "none"
            raise BundleInvalidError(f"{where}: {MODEL_FILE} must have an output {name} (it has: {has})")
    _expect(inputs[0], "uint8", f"[N, {size}, {size}, 3]", (size, size, 3), where)
    classes = f"[N, {labels + background}] for {labels} labels and {background} background classes"
    _expect(outputs["logits"], "float32", classes, (labels + background,), where)
    _expect(outputs["embedding"], "float32", "[N, D] with a fixed D", (None,), where)
    depth = _shape(outputs["embedding"])[1]
    if depth is None:
        raise _refused(outputs["embedding"], "float32 [N, D] with a fixed D", where)
    if "features" in outputs:
        _expect(outputs["features"], "float32", f"[N, {depth}, h, w]", (depth, None, None), where)


def _expect(value: ValueInfoProto, kind: str, words: str, shape: Shape, where: str) -> None:
    """Refuses a value of another type or shape; the first axis must be free, and None allows any length."""
    seen = _shape(value)
    fits = len(seen) == len(shape) + 1 and seen[0] is None
    fits = fits and all(wanted in (None, length) for length, wanted in zip(seen[1:], shape, strict=True))
    if not fits or _kind(value) != kind:
        raise _refused(value, f"{kind} {words}", where)


def _refused(value: ValueInfoProto, wanted: str, where: str) -> BundleInvalidError:
    shape = ", ".join("?" if length is None else str(length) for length in _shape(value))
    return BundleInvalidError(f"{where}: {MODEL_FILE}: {value.name} is {_kind(value)} [{shape}] and must be {wanted}")


def _shape(value: ValueInfoProto) -> Shape:
    axes = value.type.tensor_type.shape.dim
    return tuple(axis.dim_value if axis.HasField("dim_value") else None for axis in axes)


def _kind(value: ValueInfoProto) -> str:
    name: str = TensorProto.DataType.Name(value.type.tensor_type.elem_type).lower()
    return "float32" if name == "float" else name


def _twice(model: ModelProto) -> str | None:
    """A name that a graph, or one within it, gives to two values; ``None`` where there is no such name."""
    graphs = [model.graph]
    while graphs:
        graph = graphs.pop()
        constants: list[str] = [tensor.name for tensor in graph.initializer]
        constants += [sparse.values.name for sparse in graph.sparse_initializer]
        inputs: list[str] = [value.name for value in graph.input]
        made = [name for node in graph.node for name in node.output if name]
        # Old graphs list their constants among the inputs as well: that is one value.
        values = [*constants, *made, *(set(inputs) - set(constants))]
        names: tuple[list[str], ...] = (values, inputs, [value.name for value in graph.output])
        for repeated in (name for one in names for name, count in Counter(one).items() if count > 1):
            return repeated
        graphs += [inner for node in graph.node for inner in _inner_graphs(node)]
    return None


def _inner_graphs(node: NodeProto) -> Iterator[GraphProto]:
    for attribute in node.attribute:
        yield from attribute.graphs
        if attribute.HasField("g"):
            yield attribute.g


def _tensors(model: ModelProto) -> Iterator[TensorProto]:
    yield from _tensors_of_graph(model.graph)
    for function in model.functions:
        yield from _tensors_of_nodes(function.node)


def _tensors_of_graph(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _tensors_of_nodes(graph.node)


def _tensors_of_nodes(nodes: Iterable[NodeProto]) -> Iterator[TensorProto]:
    for attribute in (attribute for node in nodes for attribute in node.attribute):
        yield from attribute.tensors
        if attribute.HasField("t"):
            yield attribute.t
        for graph in attribute.graphs:
            yield from _tensors_of_graph(graph)
        if attribute.HasField("g"):
            yield from _tensors_of_graph(attribute.g)
