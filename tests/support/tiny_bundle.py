"""A complete, valid model bundle in milliseconds, whose answers can be told from a photo's colour.

The graph is made by hand and knows one thing: every class has a colour, and the class whose colour is nearest to the
photo's mean colour wins. Classes take their colours in order, labels first, then background classes:

    index   0    1      2     3       4        5     6      7      8 and on
    colour  red  green  blue  yellow  magenta  cyan  black  white  what remains of the steps 0, 128, 255

With the default names a red photo is a cat, a green one a dog, a blue one a lion, each with a probability above 0.99.
Mid-grey (``GREY``) is equally far from each of the first eight colours, so the classes share it evenly: with the
default names each gets 1/3, less than the threshold of 0.5, and the photo is unknown. With ``background=("chair",)`` a
yellow photo is a chair, and so unknown; grey is not, since the labels have 3/4 of it together.

    >>> path = write_tiny_bundle(tmp_path / "tiny")
    >>> bundle = animal_classification.bundle.load(path)
    >>> photo = PIL.Image.fromarray(solid(COLOURS[2], size=300))     # answered with "lion"

What the graph gives, for a photo ``x`` (uint8, ``[N, size, size, 3]``):

    features   [N, 3, 4, 4]  mean red, green and blue (0 to 1) of each of 4 x 4 fields: if the left half is red, the
                             heatmap for "cat" is hot there
    embedding  [N, 3]        mean of features: the photo's mean colour
    logits     [N, C]        40 * (colour . embedding - |colour|^2 / 2): linear, and largest for the nearest colour
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from animal_classification.bundle import BundleInfo, write

Colour = tuple[int, int, int]
Head = Literal["gemm", "gemm_plain", "matmul", "half", "quantized"]
Array = np.ndarray[Any, np.dtype[Any]]

GREY: Colour = (128, 128, 128)
_CORNERS: tuple[Colour, ...] = (
    (255, 0, 0),
    (0, 255, 0),
    (0, 0, 255),
    (255, 255, 0),
    (255, 0, 255),
    (0, 255, 255),
    (0, 0, 0),
    (255, 255, 255),
)
COLOURS: tuple[Colour, ...] = _CORNERS + tuple(
    (r, g, b) for r, g, b in itertools.product((0, 128, 255), repeat=3) if (r, g, b) not in (*_CORNERS, GREY)
)
SHARPNESS = 40.0


def write_tiny_bundle(
    directory: Path,
    *,
    names: Sequence[str] = ("cat", "dog", "lion"),
    size: int = 32,
    background: Sequence[str] = (),
    groups: Mapping[str, str] | None = None,
    model: bytes | None = None,
    files: Mapping[str, bytes] | None = None,
    **info: Any,
) -> Path:
    """Writes a bundle through :func:`animal_classification.bundle.write`, so that it is verified.

    Args:
        directory: Made new; may exist if it is empty.
        names: The labels; the id of ``cat`` is ``cat-id``.
        size: Input height and width, a multiple of 4.
        background: Names of background classes; ids as for labels.
        groups: From a label's name to its group, as ``{"cat": "feline > small cat"}``.
        model: Another graph than ``tiny_model(len(names) + len(background), size=size)``.
        files: Files of the bundle in place of those made up here, or beside them.
        info: Any key of ``bundle.json`` in place of the value made up here, as ``rollup={"threshold": 0.7}``.

    Returns:
        ``directory``.
    """
    groups = groups or {}
    classes = len(names) + len(background)
    document: dict[str, Any] = {
        "name": "tiny",
        "version": "1",
        "created": datetime(2026, 1, 1, tzinfo=UTC),
        "license": "Apache-2.0",
        "labels": [{"id": f"{name}-id", "name": name, "group": groups.get(name)} for name in names],
        "background": [{"id": f"{name}-id", "name": name} for name in background],
        "preprocess": {"size": size, "crop_pct": 1.0, "interpolation": "bilinear"},
        "unknown": {"method": "background" if background else "max_probability", "threshold": 0.5},
        "data": {"version": "colours-1", "n_train": 30, "n_test": 6, "classes": len(names)},
        "code": {"version": "0.0.0"},
        "metrics": {"accuracy": 1.0},
        **info,
    }
    content: dict[str, bytes | Path] = {
        "model.onnx": model or tiny_model(classes, size=size),
        "reference.npz": _reference(len(names)),
        "README.md": b"---\nlicense: apache-2.0\n---\n# tiny\n\nTells colours apart.\n",
        **(files or {}),
    }
    write(directory, BundleInfo.model_validate(document), content)
    return directory


def solid(colour: Colour, *, size: int = 32) -> Array:
    """A photo of one colour, uint8 ``[size, size, 3]``."""
    return np.full((size, size, 3), colour, np.uint8)


def tiny_model(classes: int, *, size: int = 32, head: Head = "gemm", features: bool = True) -> bytes:
    """The graph as the content of ``model.onnx``: opset 17, IR 8, N free.

    Args:
        classes: Length of the logits, up to ``len(COLOURS)``.
        size: Input height and width, a multiple of 4.
        head: How the linear layer is written: ``gemm`` as PyTorch does (transB = 1), ``gemm_plain`` (transB = 0),
            ``matmul`` (MatMul and Add), ``half`` (fp16 weights and a Cast), ``quantized`` (int8 weights, one scale a
            class; rounds the weights a little).
        features: Whether the feature map is an output.
    """
    if size % 4 or classes > len(COLOURS):
        raise ValueError(f"size must be a multiple of 4 and classes at most {len(COLOURS)} (got {size} and {classes})")
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["pixels", "range"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node(
            "AveragePool", ["planes"], ["features"], kernel_shape=[size // 4] * 2, strides=[size // 4] * 2
        ),
        helper.make_node("GlobalAveragePool", ["features"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["embedding"]),
    ]
    layer, constants = _head(classes, head)
    constants["range"] = np.array(255.0, np.float32)
    outputs = [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", classes]),
        helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", 3]),
    ]
    if features:
        outputs.append(helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 3, 4, 4]))
    graph = helper.make_graph(
        nodes + layer,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", size, size, 3])],
        outputs,
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString()
    return data


def head_weights(classes: int) -> tuple[Array, Array]:
    """The linear layer: weight ``[classes, 3]`` and bias ``[classes]``."""
    colours = np.array(COLOURS[:classes], np.float32) / 255
    return SHARPNESS * colours, -SHARPNESS / 2 * (colours**2).sum(axis=1)


def _head(classes: int, kind: Head) -> tuple[list[onnx.NodeProto], dict[str, Array]]:
    weight, bias = head_weights(classes)
    gemm = helper.make_node("Gemm", ["embedding", "weight", "bias"], ["logits"], transB=1)
    if kind == "gemm":
        return [gemm], {"weight": weight, "bias": bias}
    if kind == "gemm_plain":
        plain = helper.make_node("Gemm", ["embedding", "weight", "bias"], ["logits"])
        return [plain], {"weight": np.ascontiguousarray(weight.T), "bias": bias}
    if kind == "matmul":
        product = helper.make_node("MatMul", ["embedding", "weight"], ["product"])
        return [product, helper.make_node("Add", ["bias", "product"], ["logits"])], {
            "weight": weight.T.copy(),
            "bias": bias,
        }
    if kind == "half":
        casts = [
            helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT) for name in ("weight", "bias")
        ]
        return [*casts, gemm], {"weight_half": weight.astype(np.float16), "bias_half": bias.astype(np.float16)}
    scale = np.maximum(np.abs(weight).max(axis=1), 1.0) / 127
    bytes_ = np.round(weight / scale[:, None]).astype(np.int8)
    dequantize = helper.make_node("DequantizeLinear", ["weight_int8", "scale", "zero"], ["weight"], axis=0)
    constants = {"weight_int8": bytes_, "scale": scale, "zero": np.zeros(classes, np.int8), "bias": bias}
    return [dequantize, gemm], constants


def _reference(classes: int) -> bytes:
    stream = io.BytesIO()
    embedding = np.array(COLOURS[:classes], np.float32) / 255
    np.savez(stream, embedding=embedding, label=np.arange(classes))
    return stream.getvalue()
