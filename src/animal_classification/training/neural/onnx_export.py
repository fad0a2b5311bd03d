"""From a trained network to the graph of the bundle contract, which proves itself: engine and torch must agree."""

from __future__ import annotations

import io
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from animal_classification.errors import AnimalsError
from animal_classification.inference.engine import create_engine
from animal_classification.training.neural.onnx_cleanup import tidied

OPSET = 17
TOLERANCE = 2e-3  # of the largest value: engines add up in another order
_ORDER = ("logits", "embedding", "features")


class Servable(nn.Module):
    """uint8 ``[N, H, W, 3]`` in, outputs of the contract out."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        found = self.network.outputs(images.permute(0, 3, 1, 2).float())
        return tuple(found[name] for name in _ORDER if name in found)


def export(network: nn.Module, size: int) -> bytes:
    """The graph.

    Raises:
        AnimalsError: The engine that will serve it answers otherwise than torch does.
    """
    servable = Servable(network).cpu().eval()
    images = _images(size)
    with torch.inference_mode():
        expected = servable(images)
    names = [name for name in _ORDER if name in _outputs(network, images)]
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the exporter's age; the other one needs another package
        torch.onnx.export(
            servable,
            (images,),
            stream,
            input_names=["images"],
            output_names=names,
            dynamic_axes={name: {0: "N"} for name in ("images", *names)},
            opset_version=OPSET,
            dynamo=False,
        )
    model = tidied(stream.getvalue())
    _check(model, images, dict(zip(names, expected, strict=True)))
    return model


def _outputs(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    with torch.inference_mode():
        found: dict[str, Tensor] = network.outputs(images.permute(0, 3, 1, 2).float())
    return found


def _check(model: bytes, images: Tensor, expected: dict[str, Tensor]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(model)
        served = create_engine(path, outputs=tuple(expected)).infer(images.numpy())
    for name, wanted in expected.items():
        scale = max(1.0, float(wanted.abs().max()))
        worst = float(np.abs(served[name] - wanted.numpy()).max())
        if not worst <= TOLERANCE * scale:
            raise AnimalsError(
                f"the exported graph's {name} differ by {worst:.3g} from the network's (values up to {scale:.3g}); "
                "train with trainer.precision=32, and if it stays so, report it"
            )


def _images(size: int) -> Tensor:
    """Four fixed pictures: black, white, a ramp, noise."""
    noise = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    ramp = np.broadcast_to(np.linspace(0, 255, size).astype(np.uint8)[None, :, None], (size, size, 3))
    flat = [np.full((size, size, 3), value, dtype=np.uint8) for value in (0, 255)]
    return torch.from_numpy(np.stack([*flat, ramp, noise]))
