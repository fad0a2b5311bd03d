"""The students' network, and what every network of this room offers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor, nn

_MIDDLE, _SPREAD = 127.5, 63.75  # of pixels: about 0 on average, and about 1 wide


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
        self.dropout = nn.Dropout(dropout)
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
