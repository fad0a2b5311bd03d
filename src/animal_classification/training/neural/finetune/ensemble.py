"""Several networks that look at the same photo side by side: what one overlooks another may see.

Their features are put together, channels after channels, and one head is fitted to all of them, so that to the rest of
fine-tuning and to a bundle it is one network, with one embedding and one class-activation map.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn


class SideBySide(nn.Module):
    """One stage of each network.

    Args:
        parts: By network.
        widths: Channels of the input that belong to each; ``None`` where each gets all of it, as pixels are.
    """

    def __init__(self, parts: Sequence[nn.Module], widths: Sequence[int] | None) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.widths = None if widths is None else list(widths)

    def forward(self, inputs: Tensor) -> Tensor:
        shares = [inputs] * len(self.parts) if self.widths is None else inputs.split(self.widths, dim=1)
        return torch.cat([part(share) for part, share in zip(self.parts, shares, strict=True)], dim=1)


class Ensemble(nn.Module):
    """Networks of timm's as one that answers to the same names.

    Args:
        members: At least two, whose feature maps have the same height and width, in evaluation mode.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.widths = [int(cast(Any, member).num_features) for member in members]
        self.global_pool = cast(Any, members[0]).global_pool

    def forward_features(self, pixels: Tensor) -> Tensor:
        """``[N, C, h, w]``, with the channels of all."""
        return torch.cat([cast(Any, member).forward_features(pixels) for member in self.members], dim=1)

    def forward_head(self, features: Tensor, *, pre_logits: bool) -> Tensor:
        """``[N, D]``, each pooled as it is used to."""
        shares = zip(self.members, features.split(self.widths, dim=1), strict=True)
        return torch.cat([cast(Any, member).forward_head(share, pre_logits=pre_logits) for member, share in shares], 1)

    def get_classifier(self) -> nn.Module:
        """What all say on average, where each ends in one linear layer for the same number of classes."""
        found = [cast(Any, member).get_classifier() for member in self.members]
        if not all(isinstance(one, nn.Linear) and one.bias is not None for one in found):
            return nn.Identity()
        if len({one.out_features for one in found}) > 1 or [one.in_features for one in found] != self.widths:
            return nn.Identity()
        joined = nn.Linear(sum(self.widths), found[0].out_features)
        with torch.no_grad():
            joined.weight.copy_(torch.cat([one.weight for one in found], dim=1) / len(found))
            joined.bias.copy_(torch.stack([one.bias for one in found]).mean(dim=0))
        return joined


def side_by_side(rows: Sequence[Sequence[nn.Module]], size: int) -> list[nn.Module]:
    """Stages of several networks, put together one by one; none where their maps differ in number or size.

    Args:
        rows: The stages of each network.
        size: Height and width of their input.
    """
    if len({len(row) for row in rows}) > 1:
        return []
    result: list[nn.Module] = []
    shares = [torch.zeros(1, 3, size, size)] * len(rows)
    widths: list[int] | None = None
    with torch.inference_mode():
        for parts in zip(*rows, strict=True):
            shares = [part(share) for part, share in zip(parts, shares, strict=True)]
            if any(share.ndim != 4 or share.shape[2:] != shares[0].shape[2:] for share in shares):
                return []
            result.append(SideBySide(parts, widths))
            widths = [share.shape[1] for share in shares]
    return result


def in_a_row(stages: Sequence[nn.Module]) -> list[nn.Module]:
    """The same stages, without what would be put together between two of them only to be taken apart again."""
    pairs = [stage for stage in stages if isinstance(stage, SideBySide)]
    if len(pairs) < max(2, len(stages)):
        return list(stages)
    columns = zip(*(pair.parts for pair in pairs), strict=True)
    return [SideBySide([nn.Sequential(*column) for column in columns], pairs[0].widths)]
