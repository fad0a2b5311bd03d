"""The linear layer read from the graph gives the graph's own logits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from animal_classification.bundle import load
from animal_classification.bundle.linear_head import linear_head
from animal_classification.errors import BundleInvalidError
from tests.support.tiny_bundle import Head, tiny_model, write_tiny_bundle

Array = np.ndarray[Any, np.dtype[Any]]
PHOTOS = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)


def _run(model: bytes) -> tuple[Array, Array, Array]:
    session = onnxruntime.InferenceSession(model)
    logits, embedding, features = session.run(["logits", "embedding", "features"], {"images": PHOTOS})
    return logits, embedding, features


def _assert_same(model: ModelProto) -> None:
    data = model.SerializeToString()
    logits, embedding, features = _run(data)
    weight, bias = linear_head(model, "zoo")
    assert weight.dtype == bias.dtype == np.float32
    assert (weight.shape, bias.shape) == ((7, 3), (7,))
    np.testing.assert_allclose(embedding @ weight.T + bias, logits, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(features.mean(axis=(2, 3)) @ weight.T + bias, logits, rtol=1e-4, atol=1e-4)


def _replace_head(*nodes: onnx.NodeProto, **constants: Array) -> ModelProto:
    model = onnx.load_model_from_string(tiny_model(7))
    model.graph.node.pop()
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    return model


@pytest.mark.parametrize("kind", ["gemm", "gemm_plain", "matmul", "half", "quantized"])
def test_each_way_to_write_the_layer(kind: Head) -> None:
    _assert_same(onnx.load_model_from_string(tiny_model(7, head=kind)))


def test_gemm_with_factors() -> None:
    gemm = helper.make_node("Gemm", ["embedding", "weight", "bias"], ["logits"], transB=1, alpha=0.5, beta=3.0)
    _assert_same(_replace_head(gemm))


def test_no_bias() -> None:
    _assert_same(_replace_head(helper.make_node("Gemm", ["embedding", "weight"], ["logits"], transB=1)))


def test_weights_behind_a_constant_node_and_a_transpose() -> None:
    tensor = numpy_helper.from_array(np.arange(21, dtype=np.float32).reshape(7, 3))
    _assert_same(
        _replace_head(
            helper.make_node("Constant", [], ["hidden"], value=tensor),
            helper.make_node("Identity", ["hidden"], ["same"]),
            helper.make_node("Transpose", ["same"], ["turned"], perm=[1, 0]),
            helper.make_node("MatMul", ["embedding", "turned"], ["product"]),
            helper.make_node("Identity", ["product"], ["logits"]),
        )
    )


def test_a_graph_that_computes_in_half_precision() -> None:
    """The layer takes the fp16 value from which the output ``embedding`` is cast."""
    model = _replace_head(
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Cast", ["flat"], ["flat_half"], to=TensorProto.FLOAT16),
        helper.make_node("Gemm", ["flat_half", "weight_half"], ["logits_half"], transB=1),
        helper.make_node("Cast", ["flat_half"], ["embedding"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["logits_half"], ["logits"], to=TensorProto.FLOAT),
        weight_half=np.arange(21, dtype=np.float16).reshape(7, 3) / 8,
    )
    del model.graph.node[5]  # the Flatten that made embedding
    logits, embedding, _ = _run(model.SerializeToString())
    weight, bias = linear_head(model, "zoo")
    np.testing.assert_allclose(embedding @ weight.T + bias, logits, rtol=2e-3, atol=2e-3)


def test_a_bundle_gives_its_head(tmp_path: Path) -> None:
    bundle = load(write_tiny_bundle(tmp_path / "b", background=("chair",)))
    weight, bias = bundle.head()
    assert weight.tolist() == [[40, 0, 0], [0, 40, 0], [0, 0, 40], [40, 40, 0]]
    assert bias.tolist() == [-20, -20, -20, -40]


def _relu() -> ModelProto:
    gemm = helper.make_node("Gemm", ["embedding", "weight", "bias"], ["before"], transB=1)
    return _replace_head(gemm, helper.make_node("Relu", ["before"], ["logits"]))


def _turned() -> ModelProto:
    return _replace_head(helper.make_node("Gemm", ["embedding", "weight"], ["logits"], transA=1, transB=1))


def _other_input() -> ModelProto:
    flatten = helper.make_node("Flatten", ["features"], ["flat"])
    return _replace_head(flatten, helper.make_node("MatMul", ["flat", "weight"], ["logits"]))


def _computed_weight() -> ModelProto:
    weight = helper.make_node("Softmax", ["weight"], ["soft"])
    return _replace_head(weight, helper.make_node("Gemm", ["embedding", "soft"], ["logits"], transB=1))


def _sum() -> ModelProto:
    return _replace_head(helper.make_node("Add", ["embedding", "bias"], ["logits"]))


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (_relu, "they come from Relu"),
        (_turned, "Gemm turns its input"),
        (_other_input, "the layer's input is flat"),
        (_computed_weight, "soft is not constant"),
        (_sum, "they come from Add"),
        (_replace_head, "'logits'"),
    ],
)
def test_what_is_not_linear_is_refused(make: Callable[[], ModelProto], why: str) -> None:
    with pytest.raises(BundleInvalidError, match=r"zoo: model\.onnx: logits are not one linear layer") as caught:
        linear_head(make(), "zoo")
    assert f"({why})" in str(caught.value)
