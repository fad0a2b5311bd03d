"""Exports for PyTorch: rebuilt from the graph, readable by PyTorch alone, and with the same answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import load_model_from_string

from animal_classification import bundle as bundles
from animal_classification.cli.main import main
from animal_classification.data import read_source
from animal_classification.errors import AnimalsError
from animal_classification.export import ExportRequest, export
from animal_classification.export.mixed_precision import run_graph
from animal_classification.export.weight_storage import with_int8_head
from tests.support.tiny_bundle import write_tiny_bundle
from tests.unit.export.graphs import conv_model, pictures, plant_classes

torch = pytest.importorskip("torch")

from animal_classification.export.torch.from_onnx import GraphModule


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("kind", ["torchscript", "exported-program"])
def test_pytorch_alone_reads_it_and_answers_alike(kind: str, tmp_path: Path) -> None:
    zoo = plant_classes(tmp_path / "zoo", 10)
    model = bundles.load(write_tiny_bundle(tmp_path / "model", model=conv_model().SerializeToString()))
    request = ExportRequest(
        kind=kind,
        target=str(tmp_path / "out"),
        manifest=read_source(str(zoo)),
        source=str(zoo),
        max_drop=0.0,
        threads=1,
        cache=tmp_path / "cache",
    )
    exported = export(model, request)
    assert exported.compared.agreement == 1.0
    images = pictures(5)
    path = exported.bundle.path / "torch" / ("model.pt" if kind == "torchscript" else "model.pt2")
    program = torch.jit.load(path) if kind == "torchscript" else torch.export.load(path).module()
    logits = program(torch.from_numpy(images))[0].numpy()
    np.testing.assert_allclose(logits, run_graph(conv_model(), images, 1), atol=1e-3)
    assert main(["report", "check", str(tmp_path / "out" / "README.md"), "-q"]) == 0


def test_the_built_in_model_can_be_rebuilt() -> None:
    photos = bundles.load("photos")
    model = load_model_from_string(photos.model_path.read_bytes())
    images = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    with torch.inference_mode():
        logits = GraphModule(model).eval()(torch.from_numpy(images))[0].numpy()
    wanted = run_graph(model, images, 1)
    np.testing.assert_allclose(logits, wanted, atol=1e-3 * np.abs(wanted).max())


def test_an_operator_that_is_not_known_is_named() -> None:
    with pytest.raises(AnimalsError, match="DequantizeLinear"):
        GraphModule(with_int8_head(conv_model()))
