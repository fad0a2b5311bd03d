"""Eight bits: ranges, corrected biases, the graph, and the search for what stays in float32."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, helper, numpy_helper

from animal_classification.export.agreement import Original
from animal_classification.export.calibration_ranges import RULES, float_tensors, photo_extremes
from animal_classification.export.comparison import installed_engines
from animal_classification.export.mixed_precision import CalibrationPhotos, find_int8, run_graph
from animal_classification.export.quantization import (
    layers,
    output_shifts,
    quantised,
    with_corrected_biases,
    with_node_names,
)
from animal_classification.export.weight_storage import LAYER_MOST, by_channel
from animal_classification.inference.engine import create_engine
from tests.unit.export.graphs import conv_model, pictures, run


def silent(what: str, done: int, total: int) -> None:
    pass


def original(model: ModelProto, images: np.ndarray) -> Original:
    return Original(run_graph(model, images, 1), 3, 1.0)


def in_eight_bits(model: ModelProto, in_float: tuple[str, ...] = ()) -> ModelProto:
    extremes = photo_extremes(model, pictures(12, seed=1), threads=1)
    return quantised(model, {name: RULES["widest"](one) for name, one in extremes.items()}, in_float)


@pytest.mark.parametrize("opset", [17, 18])
def test_extremes_are_those_of_the_tensors(opset: int) -> None:
    model, images = conv_model(opset=opset), pictures(5)
    extremes = photo_extremes(model, images, threads=1)
    assert {"planes", "b", "d", "features", "embedding"} <= set(extremes)
    assert set(extremes) == set(float_tensors(model))
    for name in ("b", "e"):
        values = run(model, images, name)[0].reshape(5, -1)
        np.testing.assert_allclose(extremes[name].lowest, values.min(axis=1), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(extremes[name].highest, values.max(axis=1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("opset", [17, 18])
def test_the_mean_output_of_rounded_weights_is_that_of_the_exact_ones(opset: int) -> None:
    model, images = with_node_names(conv_model(opset=opset)), pictures(10)
    rounded = with_corrected_biases(model, output_shifts(model, images, threads=1))
    untouched = ModelProto()
    untouched.CopyFrom(model)
    for graph in (rounded, untouched):
        for tensor in graph.graph.initializer:
            if tensor.name == "stem":
                stored, scale = by_channel(numpy_helper.to_array(tensor), 0, LAYER_MOST)
                tensor.CopyFrom(numpy_helper.from_array(stored * scale.reshape(-1, 1, 1, 1), "stem"))
    exact, corrected, plain = (run(one, images, "a")[0].mean(axis=(0, 2, 3)) for one in (model, rounded, untouched))
    assert np.abs(plain - exact).max() > 1e-4
    np.testing.assert_allclose(corrected, exact, atol=1e-6)


def test_weights_are_rounded_as_the_correction_supposes() -> None:
    model = with_node_names(conv_model())
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in in_eight_bits(model).graph.initializer}
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for name in ("stem", "depthwise", "mix"):
        stored, scale = by_channel(weights[name], 0, LAYER_MOST)
        np.testing.assert_allclose(tensors[f"{name}_scale"], scale, rtol=1e-6)
        assert (tensors[f"{name}_quantized"] == stored).mean() > 0.99
        # Two products of a weight and an activation fit 16 bits, which is all that CPUs without VNNI give them.
        assert 2 * 255 * np.abs(tensors[f"{name}_quantized"].astype(int)).max() < 2**15


@pytest.mark.parametrize("engine", installed_engines())
def test_both_engines_run_it_and_answer_like_the_original(engine: str, tmp_path: Path) -> None:
    model, images = with_node_names(conv_model()), pictures(12)
    path = tmp_path / "model.onnx"
    path.write_bytes(in_eight_bits(model).SerializeToString())
    outputs = ("logits", "embedding", "features")
    found = create_engine(path, outputs=outputs, name=engine, threads=1).infer(images)
    for name, exact in zip(outputs, run(model, images, *outputs), strict=True):
        assert found[name].dtype == np.float32
        assert found[name].shape == exact.shape
        np.testing.assert_allclose(found[name], exact, atol=0.06 * np.abs(exact).max())


def test_what_stays_in_float_has_no_eight_bit_weights() -> None:
    graph = in_eight_bits(with_node_names(conv_model()), ("depthwise",)).graph
    names = {tensor.name for tensor in graph.initializer}
    assert "depthwise" in names
    assert {"stem_quantized", "mix_quantized", "weight.int8"} <= names
    assert Counter(node.op_type for node in graph.node)["Clip"] == 1  # the other one is part of a range


def test_the_search_stops_at_once_when_all_in_eight_bits_is_good_enough() -> None:
    model, photos = conv_model(), CalibrationPhotos(pictures(12, seed=1), pictures(12, seed=2))
    found = find_int8(model, photos, original(model, photos.choosing), max_drop=5, threads=1, progress=silent)
    assert found.in_float == ()
    assert found.layers == 3
    assert found.agreement.agreement == 1.0


def test_the_search_gives_layers_back_until_the_loss_is_small_enough() -> None:
    """Two classes that differ by little, in channels that rounding spoils."""
    model = conv_model()
    for tensor in model.graph.initializer:
        if tensor.name == "weight":
            head = np.random.default_rng(0).integers(-100, 100, (3, 8))
            head[:, 0], head[2] = 127, -127
            exact = (head / 64).astype(np.float32)  # eight bits hold it without rounding
            tensor.CopyFrom(numpy_helper.from_array(exact, "weight"))
    images = np.random.default_rng(2).integers(100, 110, (64, 32, 32, 3)).astype(np.uint8)
    embedding = run(model, images, "embedding")[0]
    for tensor in model.graph.initializer:
        if tensor.name == "bias":  # half of the photos on either side
            weight = next(numpy_helper.to_array(one) for one in model.graph.initializer if one.name == "weight")
            difference = np.median(embedding @ (weight[1] - weight[0]))
            tensor.CopyFrom(numpy_helper.from_array(np.array([difference, 0, -90], np.float32), "bias"))
    said = original(model, images)
    whole = find_int8(model, CalibrationPhotos(images, images), said, max_drop=100, threads=1, progress=silent)
    assert whole.agreement.expected_drop > 0
    strict = find_int8(model, CalibrationPhotos(images, images), said, max_drop=0.0, threads=1, progress=silent)
    assert strict.in_float
    assert set(strict.in_float) <= set(layers(with_node_names(model)))
    assert strict.agreement.divergence < whole.agreement.divergence


def test_expected_drop_is_what_the_original_believes() -> None:
    said = Original(np.log(np.array([[0.6, 0.3, 0.1], [0.5, 0.4, 0.1]], np.float32)), 3, 1.0)
    changed = np.log(np.array([[0.3, 0.6, 0.1], [0.5, 0.4, 0.1]], np.float32))
    agreement = said.agreement_of(changed)
    assert agreement.expected_drop == pytest.approx(15.0, abs=1e-4)
    assert agreement.agreement == 0.5
    assert said.agreement_of(said.logits).divergence == pytest.approx(0.0, abs=1e-9)


def test_a_background_class_is_no_answer() -> None:
    said = Original(np.array([[2.0, 1.0, 9.0]], np.float32), 2, 1.0)
    assert said.agreement_of(np.array([[2.0, 1.0, 0.0]], np.float32)).agreement == 1.0


def test_the_temperature_follows_logits_that_were_stretched() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (50, 4)).astype(np.float32)
    said = Original(logits, 4, 1.5)
    assert said.temperature_for(1.3 * logits) == pytest.approx(1.3 * 1.5, rel=0.01)
    assert said.temperature_for(logits) == pytest.approx(1.5, rel=0.001)


def hidden_layer_model() -> ModelProto:
    """The shape of the recipe cnn: the embedding is a hidden linear layer, which holds nearly all of the weights."""
    random = np.random.default_rng(0)
    model = conv_model()
    nodes = [node for node in model.graph.node if node.op_type not in ("GlobalAveragePool", "Flatten", "Gemm")]
    wide = 8 * 16 * 16
    constants = {"hidden": random.normal(0, 0.02, (16, wide)), "weight": random.normal(0, 1, (3, 16))}
    kept = [tensor for tensor in model.graph.initializer if tensor.name not in constants]
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    for name, values in constants.items():
        model.graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), name))
    model.graph.node.extend(
        [
            *nodes,
            helper.make_node("Flatten", ["features"], ["flat"]),
            helper.make_node("Gemm", ["flat", "hidden"], ["before"], name="hidden", transB=1),
            helper.make_node("Relu", ["before"], ["embedding"]),
            helper.make_node("Gemm", ["embedding", "weight", "bias"], ["logits"], transB=1),
        ]
    )
    return model


def test_a_hidden_linear_layer_is_in_eight_bits_and_can_be_given_back() -> None:
    model, images = with_node_names(hidden_layer_model()), pictures(12)
    assert layers(model)[-1] == "hidden"
    small = in_eight_bits(model)
    assert small.ByteSize() < 0.35 * model.ByteSize()
    exact = run_graph(model, images, 1)
    assert np.abs(run_graph(small, images, 1) - exact).max() < 0.06 * np.abs(exact).max()
    assert in_eight_bits(model, ("hidden",)).ByteSize() > 0.8 * model.ByteSize()
