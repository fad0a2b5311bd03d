"""A new last layer: what stays, what goes, and that the engine agrees with NumPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from animal_classification.bundle.head import linear_head
from animal_classification.inference.engine import create_engine
from animal_classification.training.probe.surgery import with_head
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
