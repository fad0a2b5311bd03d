"""What a detector's graph takes and gives, compared with its kind without running it."""

from __future__ import annotations

from onnx import ModelProto, TensorProto, ValueInfoProto

from animal_classification.detection.kinds import KINDS
from animal_classification.detection.schema import DETECTOR_FILE, DetectorInfo
from animal_classification.errors import BundleInvalidError

Shape = tuple[int | None, ...]
_FLOATS = ("float32", "float16")


def check_detector_graph(model: ModelProto, info: DetectorInfo, where: str) -> None:
    """Compare inputs and outputs with the kind, the side and the number of categories.

    Raises:
        BundleInvalidError: Names the input or output, what it is, and what it must be.
    """
    kind, size = KINDS[info.kind], info.input.size
    inputs, outputs = graph_inputs(model), {value.name: value for value in model.graph.output}
    if len(inputs) != (2 if kind.sized else 1):
        names = ", ".join(value.name for value in inputs) or "none"
        wanted = "two inputs" if kind.sized else "one input"
        raise BundleInvalidError(f"{where}: {DETECTOR_FILE}: kind {info.kind} has {wanted}; this graph has: {names}")
    if info.kind == "animals":
        _expect(inputs[0], ("uint8",), (None, size, size, 3), where)
    else:
        _expect(inputs[0], _FLOATS, (None, 3, size, size), where)
    missing = [name for name in kind.outputs if name not in outputs]
    if missing or not outputs:
        has = ", ".join(outputs) or "none"
        named = ", ".join(kind.outputs) or "an output"
        raise BundleInvalidError(f"{where}: {DETECTOR_FILE}: kind {info.kind} has {named}; this graph has: {has}")
    for name, shape in _output_shapes(info).items():
        _expect(outputs[name] if name else model.graph.output[0], (*_FLOATS, "int64", "int32"), shape, where)


def graph_inputs(model: ModelProto) -> list[ValueInfoProto]:
    """Its inputs without the constants that old graphs list among them."""
    constants = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in constants]


def shape_of(value: ValueInfoProto) -> Shape:
    """Lengths of the axes; one of unknown length is ``None``."""
    axes = value.type.tensor_type.shape.dim
    return tuple(axis.dim_value if axis.HasField("dim_value") and axis.dim_value > 0 else None for axis in axes)


def element_type(value: ValueInfoProto) -> str:
    """Such as ``float32`` or ``uint8``."""
    name: str = TensorProto.DataType.Name(value.type.tensor_type.elem_type).lower()
    return "float32" if name == "float" else name


def _output_shapes(info: DetectorInfo) -> dict[str, Shape]:
    """By name; the name is empty where the first output is meant. ``None`` stands for any length."""
    classes = len(info.categories)
    shapes: dict[str, dict[str, Shape]] = {
        "animals": {"boxes": (None, None, 4), "scores": (None, None, classes)},
        "yolox": {"": (None, None, 5 + classes)},
        "yolov5": {"": (None, None, 5 + classes)},
        "ultralytics": {"": (None, 4 + classes, None)},
        "end2end": {"": (None, None, 6)},
        "rtdetr": {"": (None, None, 4 + classes)},
        "rtdetrv2": {"labels": (None, None), "boxes": (None, None, 4), "scores": (None, None)},
        "rfdetr": {"dets": (None, None, 4), "labels": (None, None, None)},
    }
    return shapes[info.kind]


def _expect(value: ValueInfoProto, types: tuple[str, ...], shape: Shape, where: str) -> None:
    """An axis of unknown length may turn out right; one that is known must be."""
    seen, of = shape_of(value), element_type(value)
    fits = len(seen) == len(shape) and all(
        None in (is_, want) or is_ == want for is_, want in zip(seen, shape, strict=True)
    )
    if not fits or of not in types:
        words = ", ".join("?" if length is None else str(length) for length in seen)
        wanted = ", ".join("any" if length is None else str(length) for length in shape)
        raise BundleInvalidError(
            f"{where}: {DETECTOR_FILE}: {value.name} is {of} [{words}] and must be {types[0]} [{wanted}]; "
            "check --kind, --size and --categories"
        )
