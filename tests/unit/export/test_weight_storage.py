"""How weights are stored."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto, load_model_from_string, numpy_helper

from animal_classification.bundle.linear_head import linear_head
from animal_classification.export.weight_storage import float32_size, narrowed, parameters, widened, with_int8_head
from tests.support.tiny_bundle import Head, head_weights, tiny_model
from tests.unit.export.graphs import conv_model, pictures, run


def constant(model: ModelProto, name: str) -> np.ndarray:
    return numpy_helper.to_array(next(tensor for tensor in model.graph.initializer if tensor.name == name))


def test_half_precision_stores_less_and_answers_alike() -> None:
    model, images = conv_model(), pictures(6)
    half = narrowed(model)
    assert half.ByteSize() < model.ByteSize()
    np.testing.assert_allclose(run(half, images, "logits")[0], run(model, images, "logits")[0], rtol=2e-3, atol=2e-3)


def test_widening_takes_narrowing_back_and_can_be_repeated() -> None:
    model = conv_model()
    wide = widened(narrowed(model))
    assert {node.op_type for node in wide.graph.node} == {node.op_type for node in model.graph.node}
    assert (constant(wide, "stem") == constant(model, "stem").astype(np.float16)).all()
    assert widened(wide) == wide
    assert narrowed(narrowed(model)).ByteSize() == narrowed(model).ByteSize()
    assert float32_size(narrowed(model)) == pytest.approx(model.ByteSize(), abs=200)


def test_a_weight_that_half_precision_cannot_hold_stays_as_it_is() -> None:
    model = conv_model()
    stem = constant(model, "stem").copy()
    stem[0, 0, 0, 0] = 70_000
    for tensor in model.graph.initializer:
        if tensor.name == "stem":
            tensor.CopyFrom(numpy_helper.from_array(stem, "stem"))
    assert (constant(narrowed(model), "stem") == stem).all()


@pytest.mark.parametrize("head", ["gemm", "gemm_plain", "matmul", "half", "quantized"])
def test_an_int8_head_is_still_found_by_heatmaps(head: Head) -> None:
    model = with_int8_head(widened(load_model_from_string(tiny_model(3, head=head))))
    weight, bias = linear_head(model, "tiny")
    expected_weight, expected_bias = head_weights(3)
    np.testing.assert_allclose(weight, expected_weight, atol=np.abs(expected_weight).max() / 127)
    np.testing.assert_allclose(bias, expected_bias)
    assert any(tensor.name.endswith(".int8") for tensor in model.graph.initializer)


def test_parameters_are_counted_however_they_are_stored() -> None:
    count = parameters(conv_model())
    assert count == 8 * 27 + 8 + 8 * 9 + 64 + 8 + 24 + 3 + 3
    assert parameters(narrowed(conv_model())) == count
