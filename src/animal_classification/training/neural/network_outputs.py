"""What a fitted network says of many photos."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from animal_classification.inference.reference import round_robin

if TYPE_CHECKING:
    from animal_classification.training.neural.image_cache import Images

_BATCH = 64
REFERENCE_LIMIT = 5000  # photos in reference.npz


def answers(network: nn.Module, pixels: Images, indices: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
    """``logits`` and ``embedding`` of the photos asked for, in their order."""
    found: dict[str, list[NDArray[np.float32]]] = {"logits": [], "embedding": []}
    with torch.inference_mode():
        for start in range(0, len(indices), _BATCH):
            images = torch.from_numpy(np.ascontiguousarray(pixels.take(indices[start : start + _BATCH])))
            outputs = network.outputs(images.permute(0, 3, 1, 2).float())
            for name, rows in found.items():
                rows.append(outputs[name].numpy())
    return {name: np.concatenate(rows) for name, rows in found.items() if rows}


def spread(targets: NDArray[np.integer], limit: int = REFERENCE_LIMIT) -> NDArray[np.int64]:
    """Positions of at most ``limit`` photos, ascending; classes take turns, so that a rare one keeps all of its photos.

    Args:
        targets: Class numbers ``[N]``.
        limit: How many.
    """
    return round_robin(targets, limit).astype(np.int64)
