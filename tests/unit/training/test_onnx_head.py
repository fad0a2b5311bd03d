"""A new last layer, another size: what stays, what goes, and that the engine agrees with NumPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from animal_classification.bundle.graph import parse_graph
from animal_classification.bundle.linear_head import linear_head
from animal_classification.inference.engine import create_engine
from animal_classification.training.probe.onnx_head import with_head, with_size
from tests.support.tiny_bundle import Head, tiny_model

WEIGHT = np.arange(15, dtype=np.float32).reshape(5, 3)
BIAS = np.arange(5, dtype=np.float32)


@pytest.mark.parametrize("head", ["gemm", "gemm_plain", "matmul", "half", "quantized"])
@pytest.mark.parametrize("features", [True, False])
def test_any_head_is_replaced(tmp_path: Path, head: Head, features: bool) -> None:
    data = with_head(tiny_model(4, head=head, features=features), WEIGHT, BIAS)
    graph = onnx.load_model_from_string(data)
    onnx.checker.check_model(graph, full_check=True)
    assert [output.name for output in graph.graph.output][1:] == ["embedding"] + ["features"] * features
    assert {"weight", "bias", "weight_int8", "weight_half"}.isdisjoint(t.name for t in graph.graph.initializer)
    found = linear_head(graph, "here")
    assert np.array_equal(found[0], WEIGHT)
    (tmp_path / "model.onnx").write_bytes(data)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    outputs = create_engine(tmp_path / "model.onnx", outputs=("logits", "embedding"), threads=1).infer(pixels)
    assert np.allclose(outputs["logits"], outputs["embedding"] @ WEIGHT.T + BIAS, atol=1e-4)


@pytest.mark.parametrize("classes", [5, 4, 7])
def test_a_head_is_put_on_what_already_has_one_of_ours(tmp_path: Path, classes: int) -> None:
    """A model of one's own as the backbone of the next, and of the one after: only the last head speaks."""
    data = with_head(tiny_model(4), WEIGHT, BIAS)
    for number in (2, 3):
        weight = np.full((classes, 3), number, dtype=np.float32)
        bias = np.arange(classes, dtype=np.float32) * number
        data = with_head(data, weight, bias)
    graph = parse_graph(data, "here")
    onnx.checker.check_model(graph, full_check=True)
    assert sum("probe" in tensor.name for tensor in graph.graph.initializer) == 2
    assert np.array_equal(linear_head(graph, "here")[0], weight)
    (tmp_path / "model.onnx").write_bytes(data)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    outputs = create_engine(tmp_path / "model.onnx", outputs=("logits", "embedding"), threads=1).infer(pixels)
    assert np.allclose(outputs["logits"], outputs["embedding"] @ weight.T + bias, atol=1e-4)


def test_names_of_ours_that_something_else_needs_are_left_alone() -> None:
    model = onnx.load_model_from_string(tiny_model(4))
    first, second = model.graph.node[:2]
    assert first.output[0] in second.input
    second.input[:] = ["probe.weight" if name == first.output[0] else name for name in second.input]
    first.output[0] = "probe.weight"
    graph = parse_graph(with_head(model.SerializeToString(), WEIGHT, BIAS), "here")
    onnx.checker.check_model(graph, full_check=True)
    assert any("probe.weight" in node.output for node in graph.graph.node)
    assert np.array_equal(linear_head(graph, "here")[0], WEIGHT)


def test_constants_of_the_old_head_that_are_listed_as_inputs_go_as_well() -> None:
    model = onnx.load_model_from_string(tiny_model(4))
    for tensor in list(model.graph.initializer):
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
    graph = parse_graph(with_head(model.SerializeToString(), WEIGHT, BIAS), "here")
    constants = {tensor.name for tensor in graph.graph.initializer}
    assert {value.name for value in graph.graph.input} - constants == {"images"}


@pytest.mark.parametrize("features", [True, False])
def test_a_graph_looks_at_larger_photos(tmp_path: Path, features: bool) -> None:
    data = with_size(tiny_model(4, features=features), 48)
    onnx.checker.check_model(onnx.load_model_from_string(data), full_check=True)
    (tmp_path / "small.onnx").write_bytes(tiny_model(4, features=features))
    (tmp_path / "large.onnx").write_bytes(data)
    flat = np.full((1, 48, 48, 3), 90, dtype=np.uint8)  # looks the same at any size
    small = create_engine(tmp_path / "small.onnx", outputs=("logits",), threads=1).infer(flat[:, :32, :32])
    large = create_engine(tmp_path / "large.onnx", outputs=("logits",), threads=1).infer(flat)
    assert np.allclose(small["logits"], large["logits"], atol=1e-4)


def test_a_graph_of_one_size_says_so() -> None:
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
            helper.make_node("Flatten", ["floats"], ["embedding"]),
            helper.make_node("MatMul", ["embedding", "weight"], ["logits"]),
        ],
        "fixed",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", 8, 8, 3])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 2]),
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", 192]),
        ],
        [numpy_helper.from_array(np.ones((192, 2), dtype=np.float32), "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()
    assert with_size(model, 8)
    with pytest.raises(ValueError, match=r"(?i)(embedding|dimension|shape)"):
        with_size(model, 16)
