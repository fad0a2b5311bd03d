"""Other views of a photo, for a whole batch at once: mirrored, turned, scaled, shifted, brighter or darker."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from animal_classification.training.neural import seeded_random

# At strength 1: radians, fraction of the size, fraction of the width, fraction of the contrast and of the brightness.
_TURN = math.radians(12)
_SCALE = 0.12
_SHIFT = 0.08
_CONTRAST = 0.2
_BRIGHTNESS = 0.1


def augment(images: Tensor, keys: NDArray[np.uint64], strength: float) -> Tensor:
    """Each photo changed by an amount that its key decides.

    Args:
        images: float ``[N, 3, H, W]``, 0 to 255.
        keys: uint64 ``[N]``, of ``drawing.keys``.
        strength: 0 changes nothing; 1 is for photos of animals.

    Returns:
        Of the same shape and range.
    """
    if strength == 0:
        return images
    drawn = torch.from_numpy(seeded_random.uniforms(keys, 7)).to(images.device)
    moved = functional.grid_sample(
        images,
        functional.affine_grid(_moves(drawn, strength), list(images.shape), align_corners=False),
        mode="bilinear",
        padding_mode="reflection",
        align_corners=False,
    )
    contrast = 1 + (2 * drawn[:, 5] - 1) * _CONTRAST * strength
    brightness = (2 * drawn[:, 6] - 1) * _BRIGHTNESS * strength * 255
    middle = moved.mean(dim=(1, 2, 3), keepdim=True)
    lit = (moved - middle) * contrast[:, None, None, None] + middle + brightness[:, None, None, None]
    return lit.clamp(0, 255)


def _moves(drawn: Tensor, strength: float) -> Tensor:
    """Affine maps ``[N, 2, 3]`` from places in the new picture to places in the old one."""
    signed = 2 * drawn - 1
    mirror = torch.where(drawn[:, 0] < 0.5, -1.0, 1.0)
    angle = signed[:, 1] * _TURN * strength
    scale = torch.exp(signed[:, 2] * _SCALE * strength)
    shift = signed[:, 3:5] * _SHIFT * strength * 2  # the picture is 2 wide
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    first = torch.stack([cos * mirror, -sin, shift[:, 0]], dim=1)
    second = torch.stack([sin * mirror, cos, shift[:, 1]], dim=1)
    return torch.stack([first, second], dim=1)
