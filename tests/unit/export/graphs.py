"""A small convolutional network of the bundle contract, and photos for it: something to quantise, in milliseconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper
from PIL import Image

from tests.support.tiny_bundle import COLOURS

SIZE = 32
CLASSES = 3
Array = np.ndarray[Any, np.dtype[Any]]


def conv_model(*, opset: int = 18, seed: int = 0) -> ModelProto:
    """Stem, depthwise and pointwise convolution with ReLU6 between, a residual, a linear head; answers like the colour.

    The first three channels carry the colour through; the others are random, so that rounding has something to spoil.
    """
    random = np.random.default_rng(seed)
    stem = random.normal(0, 0.3, (8, 3, 3, 3))
    stem[:3] = 0
    stem[range(3), range(3), 1, 1] = 5.0
    depthwise = random.normal(0, 0.2, (8, 1, 3, 3))
    depthwise[:3] = 0
    depthwise[:3, 0, 1, 1] = 1.0
    mix = random.normal(0, 0.1, (8, 8, 1, 1))
    head = np.zeros((CLASSES, 8))
    head[:, :3] = 4.0 * np.eye(3)
    constants: dict[str, Array] = {
        "range": np.array(255.0, np.float32),
        "low": np.array(0.0, np.float32),
        "high": np.array(6.0, np.float32),
        "stem": stem.astype(np.float32),
        "stem_bias": random.normal(0, 0.1, 8).astype(np.float32),
        "depthwise": depthwise.astype(np.float32),
        "mix": mix.astype(np.float32),
        "mix_bias": np.zeros(8, np.float32),
        "weight": head.astype(np.float32),
        "bias": np.zeros(CLASSES, np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["pixels", "range"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "stem", "stem_bias"], ["a"], name="stem", pads=[1] * 4, strides=[2, 2]),
        helper.make_node("Clip", ["a", "low", "high"], ["b"]),
        helper.make_node("Conv", ["b", "depthwise"], ["c"], name="depthwise", pads=[1] * 4, group=8),
        helper.make_node("Clip", ["c", "low", "high"], ["d"]),
        helper.make_node("Conv", ["d", "mix", "mix_bias"], ["e"], name="mix"),
        helper.make_node("Add", ["e", "b"], ["features"]),
        helper.make_node("GlobalAveragePool", ["features"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["embedding"]),
        helper.make_node("Gemm", ["embedding", "weight", "bias"], ["logits"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "conv",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", SIZE, SIZE, 3])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", CLASSES]),
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", 8]),
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 8, SIZE // 2, SIZE // 2]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def pictures(count: int, *, seed: int = 0) -> Array:
    """Noisy pictures, red, green and blue in turn: uint8 ``[count, 32, 32, 3]``."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 120, (count, SIZE, SIZE, 3))
    for index in range(count):
        images[index] += np.array(COLOURS[index % CLASSES]) // 2
    return np.clip(images, 0, 255).astype(np.uint8)


def plant_classes(folder: Path, count: int, names: tuple[str, ...] = ("cat", "dog", "lion")) -> Path:
    """So many pictures of each class, in a folder of its name."""
    for index, image in enumerate(pictures(count * len(names))):
        path = folder / names[index % len(names)] / f"{index:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return folder


def run(model: ModelProto, images: Array, *outputs: str) -> list[Array]:
    """Values of any tensors of a graph, by ONNX Runtime."""
    import onnxruntime as ort

    watched = ModelProto()
    watched.CopyFrom(model)
    there = {value.name for value in watched.graph.output}
    for name in outputs:
        if name not in there:
            watched.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    session = ort.InferenceSession(watched.SerializeToString(), providers=["CPUExecutionProvider"])
    found: list[Array] = session.run(list(outputs), {"images": images})
    return found


def block_model(*, width: int = 64, seed: int = 0, twins: bool = True) -> ModelProto:
    """``conv_model`` with an inverted residual block.

    With ``twins``, its expanded channel ``i + width / 2`` says the same as channel ``i``; what they are multiplied with
    afterwards differs.
    """
    model = conv_model(seed=seed)
    random = np.random.default_rng(seed + 1)
    own, times = (width // 2, 2) if twins else (width, 1)

    def drawn(mean: float, deviation: float, *shape: int) -> Array:
        return np.concatenate([random.normal(mean, deviation, (own, *shape))] * times)

    constants = {
        "expand": drawn(0, 0.2, 8, 1, 1),
        "expand_bias": drawn(1.0, 0.3),
        "spatial": drawn(0.15, 0.05, 1, 3, 3),
        "project": random.normal(0, 0.05, (8, width, 1, 1)),
    }
    nodes = [
        helper.make_node("Conv", ["b", "expand", "expand_bias"], ["wide"], name="expand"),
        helper.make_node("Clip", ["wide", "low", "high"], ["wider"]),
        helper.make_node("Conv", ["wider", "spatial"], ["spread"], name="spatial", pads=[1] * 4, group=width),
        helper.make_node("Clip", ["spread", "low", "high"], ["spreader"]),
        helper.make_node("Conv", ["spreader", "project"], ["narrow"], name="project"),
        helper.make_node("Add", ["narrow", "b"], ["joined"]),
    ]
    rest = list(model.graph.node)
    for node in rest[5:]:
        node.input[:] = ["joined" if name == "b" else name for name in node.input]
    del model.graph.node[:]
    model.graph.node.extend([*rest[:5], *nodes, *rest[5:]])
    model.graph.initializer.extend(
        numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()
    )
    onnx.checker.check_model(model, full_check=True)
    return model
