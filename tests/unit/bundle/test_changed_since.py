"""A graph that changes after its bundle was verified is used by nobody."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from animal_classification.bundle import Bundle, load
from animal_classification.errors import BundleInvalidError
from animal_classification.evaluation.model_outputs import compute_outputs
from animal_classification.export.formats import ExportSource, Pruning, to_openvino
from animal_classification.inference import Classifier
from animal_classification.inference.cam import Explainer
from animal_classification.training.probe.backbone import BundleBackbone
from tests.support.tiny_bundle import tiny_model, write_tiny_bundle

PIXELS = np.zeros((40, 40, 3), np.uint8)


def source(bundle: Bundle) -> ExportSource:
    return ExportSource(bundle, (), 0.5, Pruning(0.3, 1.0), 1, lambda *_: None)


@pytest.mark.parametrize(
    "use",
    [
        Classifier.load,
        lambda bundle: Explainer(bundle).heatmap(PIXELS),
        lambda bundle: compute_outputs(bundle, []),
        lambda bundle: BundleBackbone(bundle).infer(PIXELS[None]),
        lambda bundle: source(bundle).graph,
        lambda bundle: to_openvino(source(bundle)),
    ],
    ids=["classifier", "heatmap", "evaluation", "backbone", "export", "openvino"],
)
def test_a_graph_that_has_changed_is_refused(use: Callable[[Bundle], object], tmp_path: Path) -> None:
    bundle = load(write_tiny_bundle(tmp_path / "tiny"))
    bundle.model_path.write_bytes(tiny_model(4))
    with pytest.raises(BundleInvalidError, match=r"model\.onnx"):
        use(bundle)
