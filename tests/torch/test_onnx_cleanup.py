"""Exported graphs say what they compute in few words, and compute the same."""

from __future__ import annotations

import io
import warnings
from collections import Counter
from typing import Any

import numpy as np
import pytest
from onnx import load_model_from_string

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from animal_classification.config.schema import BackboneConfig
from animal_classification.export.calibration_ranges import start_session
from animal_classification.export.torch.from_onnx import OPERATORS, GraphModule
from animal_classification.training.neural.finetune.network import split_backbone
from animal_classification.training.neural.finetune.timm_backbone import load_backbone
from animal_classification.training.neural.onnx_cleanup import tidied
from animal_classification.training.neural.onnx_export import export

SIZE = 33  # odd: "same" padding is uneven


def exported(module: Any, images: Any) -> bytes:
    stream = io.BytesIO()
    names = {"input_names": ["images"], "output_names": ["out"], "dynamic_axes": {"images": {0: "N"}, "out": {0: "N"}}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the exporter's age
        torch.onnx.export(module.eval(), (images,), stream, opset_version=17, dynamo=False, **names)
    return stream.getvalue()


class Padded(torch.nn.Module):  # type: ignore[misc,name-defined]
    """A convolution behind padding of some kind."""

    def __init__(
        self, pad: tuple[int, ...], mode: str = "constant", value: float = 0.0, *, twice: bool = False
    ) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.pad, self.mode, self.value, self.twice = pad, mode, value, twice

    def forward(self, images: Any) -> Any:
        more = {"value": self.value} if self.mode == "constant" else {}
        padded = torch.nn.functional.pad(images, self.pad, mode=self.mode, **more)
        return self.conv(padded) + (padded[:, :, :1, :1].mean(1, keepdim=True) if self.twice else 0)


@pytest.mark.parametrize(
    ("module", "pads"),
    [
        (Padded((0, 1, 2, 3)), 0),
        (Padded((0, 1, 0, 1), twice=True), 1),  # somebody else looks at the border as well
        (Padded((1, 1, 1, 1), value=1.0), 1),
        (Padded((1, 1, 1, 1), mode="reflect"), 1),
        (Padded((0, -1, 0, -1)), 1),
    ],
    ids=["zeros", "another reader", "ones", "reflected", "cropped"],
)
def test_only_zeros_around_a_photo_become_the_convolutions_own(module: Padded, pads: int) -> None:
    images = torch.randn(2, 3, SIZE, SIZE + 2)
    before = exported(module, images)
    after = load_model_from_string(tidied(before))
    kinds = Counter(node.op_type for node in after.graph.node)
    assert (kinds["Conv"], kinds["Pad"]) == (1, pads)
    assert not {"Constant", "ConstantOfShape", "Reshape"} & kinds.keys()
    with torch.inference_mode():
        wanted = module(images).numpy()
    (found,) = start_session(after, 1).run(None, {"images": images.numpy()})
    np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("names", ["tf_efficientnet_lite0", "tf_efficientnet_lite0+tf_efficientnet_lite1"])
def test_a_network_that_was_fine_tuned_can_be_read_by_others(names: str) -> None:
    backbone = load_backbone(BackboneConfig(bundle="photos", timm=names, size=SIZE, crop=1.0))
    network = split_backbone(backbone, None, classes=3, drop=0.0).eval()
    model = load_model_from_string(export(network, SIZE))
    assert {node.op_type for node in model.graph.node} <= OPERATORS.keys()
    images = np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 3), dtype=np.uint8)
    with torch.inference_mode():
        rebuilt = GraphModule(model).eval()(torch.from_numpy(images))[0].numpy()
        wanted = network(torch.from_numpy(images).permute(0, 3, 1, 2).float()).numpy()
    np.testing.assert_allclose(rebuilt, wanted, atol=1e-3)
