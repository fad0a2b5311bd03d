"""Blended photos with blended labels, and RandAugment. Chance is torch's, which the loop seeds at every step."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animal_classification.training.neural import seeded_random

_OPERATIONS, _MAGNITUDE = 2, 9  # of RandAugment, as Cubuk et al. 2020 have them for ImageNet


@dataclass(frozen=True)
class Mixing:
    """Mixup (Zhang et al. 2018) or CutMix (Yun et al. 2019), on photos or on feature maps, one of them for each batch.

    Attributes:
        mixup: Alpha of its beta distribution; 0 for never.
        cutmix: The same.
    """

    mixup: float
    cutmix: float

    def __call__(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Blend each row with another: ``[N, C, h, w]`` and ``[N, classes]``."""
        total = self.mixup + self.cutmix
        if total == 0 or len(images) < 2:
            return images, targets
        cut = self.cutmix > 0 and float(torch.rand(())) < (0.5 if self.mixup > 0 else 1.0)
        share = _beta(self.cutmix if cut else self.mixup)
        partner = torch.randperm(len(images), device="cpu").to(images.device)
        if cut:
            images, share = _pasted(images, partner, share)
        else:
            share = max(share, 1 - share)
            images = images * share + images[partner] * (1 - share)
        return images, targets * share + targets[partner] * (1 - share)


def rand_augment(images: Tensor, keys: NDArray[np.uint64], strength: float) -> Tensor:
    """RandAugment and mirroring, photo by photo: float ``[N, 3, H, W]``, 0 to 255."""
    from torchvision.transforms import v2

    mirror = seeded_random.uniforms(keys, 1)[:, 0] < 0.5
    change = v2.RandAugment(_OPERATIONS, round(_MAGNITUDE * strength)) if strength > 0 else torch.nn.Identity()
    changed = [
        change(image.flip(-1) if flip else image) for image, flip in zip(images.to(torch.uint8), mirror, strict=True)
    ]
    return torch.stack(changed).float()


def pick_view(activations: Tensor, keys: NDArray[np.uint64]) -> Tensor:
    """One of two views that lie after each other: ``[N, 2C, h, w]`` to ``[N, C, h, w]``."""
    count = activations.shape[1] // 2
    mirror = torch.from_numpy(seeded_random.uniforms(keys, 1)[:, 0] < 0.5).to(activations.device)
    return torch.where(mirror[:, None, None, None], activations[:, count:], activations[:, :count])


def _beta(alpha: float) -> float:
    """A draw from Beta(alpha, alpha), with torch's generator."""
    return float(torch._sample_dirichlet(torch.tensor([alpha, alpha]))[0])


def _pasted(images: Tensor, partner: Tensor, share: float) -> tuple[Tensor, float]:
    """A rectangle of another photo in each, and the share of the area that stayed."""
    height, width = images.shape[-2:]
    tall, wide = (round(side * math.sqrt(1 - share)) for side in (height, width))
    top = int(torch.randint(0, height - tall + 1, ()))
    left = int(torch.randint(0, width - wide + 1, ()))
    mixed = images.clone()
    mixed[:, :, top : top + tall, left : left + wide] = images[partner][:, :, top : top + tall, left : left + wide]
    return mixed, 1 - tall * wide / (height * width)
