"""The interface of all networks, how to run one on many photos, and the students' network."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from animal_classification.inference.reference import round_robin
from animal_classification.training.neural.shard import BatchDropout

if TYPE_CHECKING:
    from animal_classification.training.neural.image_cache import Images

_MIDDLE, _SPREAD = 127.5, 63.75  # of pixels: about 0 on average, and about 1 wide
_BATCH = 64
REFERENCE_LIMIT = 5000  # photos in reference.npz


class Network(Protocol):
    """A module whose input is float ``[N, 3, H, W]``, 0 to 255: it normalises by itself."""

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[N, C]``."""
        ...

    def outputs(self, images: Tensor) -> dict[str, Tensor]:
        """``logits``, ``embedding`` ``[N, D]`` and, where the last feature map is as deep, ``features``."""
        ...


class AnimalClassificationCNN(nn.Module):
    """Convolutions with max-pooling after each, a hidden layer, dropout, and a layer of logits.

    The embedding is the hidden layer. The last feature map is not as deep as that, so there is no ``features`` and a
    bundle of this network draws no heat maps.

    Args:
        classes: How many.
        size: Side of the input, in pixels.
        channels: Width of each convolution.
        hidden: Width of the hidden layer.
        dropout: Share of the hidden layer that is left out in training.
    """

    def __init__(
        self,
        classes: int,
        *,
        size: int = 128,
        channels: Sequence[int] = (32, 64, 128),
        hidden: int = 512,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        widths = (3, *channels)
        blocks: list[nn.Module] = []
        for before, after in pairwise(widths):
            blocks += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        self.blocks = nn.Sequential(*blocks)
        side = size // 2 ** len(channels)
        self.hidden = nn.Linear(channels[-1] * side * side, hidden)
        self.dropout = BatchDropout(dropout)
        self.classify = nn.Linear(hidden, classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classify(self.dropout(self.embed(images)))
        return logits

    def embed(self, images: Tensor) -> Tensor:
        """The hidden layer, ``[N, hidden]``."""
        features = self.blocks((images - _MIDDLE) / _SPREAD)
        return torch.relu(self.hidden(features.flatten(1)))

    def outputs(self, images: Tensor) -> dict[str, Tensor]:
        embedding = self.embed(images)
        return {"logits": self.classify(self.dropout(embedding)), "embedding": embedding}


def network_outputs(network: nn.Module, pixels: Images, indices: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
    """``logits`` and ``embedding`` of the photos asked for, in their order."""
    found: dict[str, list[NDArray[np.float32]]] = {"logits": [], "embedding": []}
    with torch.inference_mode():
        for start in range(0, len(indices), _BATCH):
            images = torch.from_numpy(np.ascontiguousarray(pixels.take(indices[start : start + _BATCH])))
            outputs = network.outputs(images.permute(0, 3, 1, 2).float())
            for name, rows in found.items():
                rows.append(outputs[name].numpy())
    return {name: np.concatenate(rows) for name, rows in found.items() if rows}


def reference_photos(targets: NDArray[np.integer], limit: int = REFERENCE_LIMIT) -> NDArray[np.int64]:
    """Positions of at most ``limit`` photos, ascending; classes take turns, so that a rare one keeps all of its photos.

    Args:
        targets: Class numbers ``[N]``.
        limit: How many.
    """
    return round_robin(targets, limit).astype(np.int64)
