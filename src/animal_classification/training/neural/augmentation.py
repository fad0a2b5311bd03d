"""Augmentation of whole batches: geometry and light, RandAugment, Mixup and CutMix.

Chance is a function of keys, or torch's generator, which the loop seeds at every step: a killed run draws the same.
"""

# Imported where it is used: torchvision takes a second to load, and only RandAugment needs it.

from __future__ import annotations

import math
from dataclasses import dataclass

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
_OPERATIONS, _MAGNITUDE = 2, 9  # of RandAugment, as Cubuk et al. 2020 have them for ImageNet


def augment(images: Tensor, keys: NDArray[np.uint64], strength: float) -> Tensor:
    """Each photo changed by an amount that its key decides.

    Args:
        images: float ``[N, 3, H, W]``, 0 to 255.
        keys: uint64 ``[N]``, of ``seeded_random.keys``.
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


@dataclass(frozen=True)
class Mixing:
    """Mixup (Zhang et al. 2018) or CutMix (Yun et al. 2019), on photos or on feature maps, one of them for each batch.

    Attributes:
        mixup: Alpha of its beta distribution; 0 for never.
        cutmix: The same.
    """

    mixup: float
    cutmix: float

    def draw(self, count: int, height: int, width: int) -> Blend | None:
        """How to blend a batch of ``count`` photos; ``None`` for not at all."""
        if self.mixup + self.cutmix == 0 or count < 2:
            return None
        cut = self.cutmix > 0 and float(torch.rand(())) < (0.5 if self.mixup > 0 else 1.0)
        share = _beta(self.cutmix if cut else self.mixup)
        partner = torch.randperm(count, device="cpu")
        if not cut:
            return Blend(partner, max(share, 1 - share))
        tall, wide = (round(side * math.sqrt(1 - share)) for side in (height, width))
        top = int(torch.randint(0, height - tall + 1, ()))
        left = int(torch.randint(0, width - wide + 1, ()))
        return Blend(partner, 1 - tall * wide / (height * width), (slice(top, top + tall), slice(left, left + wide)))

    def __call__(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Blend each row with another: ``[N, C, h, w]`` and ``[N, classes]``."""
        blend = self.draw(len(images), *images.shape[-2:])
        if blend is None:
            return images, targets
        partner = blend.partner.to(images.device)
        return blend.apply((images, targets), (images[partner], targets[partner]))


@dataclass(frozen=True)
class Blend:
    """What was drawn for one batch.

    Attributes:
        partner: int64 ``[N]``: the photo that each is blended with.
        share: Of the photo itself, in [0, 1].
        pasted: The rectangle of the partner that covers it (CutMix); ``None`` for Mixup.
    """

    partner: Tensor
    share: float
    pasted: tuple[slice, slice] | None = None

    def apply(self, own: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Blend photos and targets with those of their partners, row by row."""
        images, targets = own
        if self.pasted is None:
            images = images * self.share + other[0] * (1 - self.share)
        else:
            images = images.clone()
            images[:, :, *self.pasted] = other[0][:, :, *self.pasted]
        return images, targets * self.share + other[1] * (1 - self.share)


def rand_augment(images: Tensor, keys: NDArray[np.uint64], strength: float) -> Tensor:
    """RandAugment and mirroring, photo by photo, as their keys decide: float ``[N, 3, H, W]``, 0 to 255."""
    from torchvision.transforms import v2

    mirror = seeded_random.uniforms(keys, 1)[:, 0] < 0.5
    change = v2.RandAugment(_OPERATIONS, round(_MAGNITUDE * strength)) if strength > 0 else torch.nn.Identity()
    changed = []
    with torch.random.fork_rng(devices=[]):
        for image, flip, key in zip(images.to(torch.uint8), mirror, keys, strict=True):
            torch.manual_seed(int(key >> np.uint64(1)))
            changed.append(change(image.flip(-1) if flip else image))
    return torch.stack(changed).float()


def pick_view(activations: Tensor, keys: NDArray[np.uint64]) -> Tensor:
    """One of two views that lie after each other: ``[N, 2C, h, w]`` to ``[N, C, h, w]``."""
    count = activations.shape[1] // 2
    mirror = torch.from_numpy(seeded_random.uniforms(keys, 1)[:, 0] < 0.5).to(activations.device)
    return torch.where(mirror[:, None, None, None], activations[:, count:], activations[:, :count])


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


def _beta(alpha: float) -> float:
    """A draw from Beta(alpha, alpha), with torch's generator."""
    return float(torch.distributions.Beta(torch.tensor(alpha), torch.tensor(alpha)).sample())
