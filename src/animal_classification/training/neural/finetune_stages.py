"""A network as a row of stages: what stays as it is, what learns, and how fast.

Networks whose features come out of a plain row of modules (EfficientNet, MobileNet, ResNet, ConvNeXt and their kin) can
be cut between two stages; others (transformers with tokens and positions) are one stage that learns as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

# In the order of the forward pass; names that end in * are rows themselves. A guess, which `stages_of` checks.
_ROWS = (
    ("conv_stem", "bn1", "blocks*", "conv_head", "bn2"),
    ("conv1", "bn1", "act1", "maxpool", "layer1", "layer2", "layer3", "layer4"),
    ("stem*", "stages*", "norm_pre"),
    ("stem", "stages*", "final_conv"),
)
_NORMS = (nn.modules.batchnorm._BatchNorm,)


class Whole(nn.Module):
    """All features of a network that cannot be cut."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        return cast(Tensor, cast(Any, self.network).forward_features(pixels))


class Ending(nn.Module):
    """From the last feature map to the embedding, as the network itself pools it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.pool = network.global_pool if _plain_pool(network) else None
        self._whole = [] if self.pool is not None else [network]  # in a list, so that its weights are not counted twice

    def forward(self, features: Tensor) -> Tensor:
        if self.pool is not None:
            return cast(Tensor, self.pool(features)).flatten(1)
        return cast(Tensor, cast(Any, self._whole[0]).forward_head(features, pre_logits=True))


class Tail(nn.Module):
    """The stages that learn, and the head.

    Args:
        stages: In the order of the forward pass.
        ending: From features to the embedding.
        head: From the embedding to logits.
        drop: Share of the embedding that is dropped in training.
    """

    def __init__(self, stages: Sequence[nn.Module], ending: nn.Module, head: nn.Linear, drop: float) -> None:
        super().__init__()
        self.stages = nn.Sequential(*stages)
        self.ending = ending
        self.dropout = nn.Dropout(drop)
        self.head = head

    def train(self, mode: bool = True) -> Tail:
        """Batch norms stay as they are: a small batch's statistics are worse than a million photos'."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, _NORMS):
                module.eval()
        return self

    def embed(self, inputs: Tensor) -> Tensor:
        """``[N, D]``."""
        return cast(Tensor, self.ending(self.stages(inputs)))

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits ``[N, C]`` for what the frozen stages give."""
        return cast(Tensor, self.head(self.dropout(self.embed(inputs))))


def stages_of(network: nn.Module, size: int) -> list[nn.Module]:
    """The row of modules that makes the network's features; a single one where it cannot be taken apart.

    Args:
        network: timm's, in evaluation mode.
        size: Height and width of its input.
    """
    probe = torch.linspace(-1, 1, 3 * size * size).reshape(1, 3, size, size)
    with torch.inference_mode():
        expected = cast(Any, network).forward_features(probe)
        for names in _ROWS:
            stages = list(_row(network, names))
            if len(stages) > 1 and _same(nn.Sequential(*stages), probe, expected):
                return _merged(stages)
    return [Whole(network)]


def groups_of(tail: Tail, decay: float, share: float) -> list[dict[str, Any]]:
    """Parameters with the share of the learning rate that they get.

    Args:
        tail: What learns.
        decay: Each stage learns this much slower than the one after it.
        share: Of the last stage; the head has 1.
    """
    groups = [{"params": [p for p in tail.head.parameters() if p.requires_grad], "scale": 1.0}]
    for depth, stage in enumerate(reversed(tail.stages)):
        parameters = [p for p in stage.parameters() if p.requires_grad]
        if parameters:
            groups.append({"params": parameters, "scale": share * decay**depth})
    return groups


def _row(network: nn.Module, names: Sequence[str]) -> Iterator[nn.Module]:
    for name in names:
        module = getattr(network, name.rstrip("*"), None)
        if module is None:
            return
        if name.endswith("*") and isinstance(module, nn.Sequential):
            yield from module
        else:
            yield module


def _same(row: nn.Module, probe: Tensor, expected: Tensor) -> bool:
    try:
        found = row(probe)
    except (RuntimeError, TypeError, NotImplementedError):
        return False
    return found.shape == expected.shape and torch.allclose(found, expected, rtol=1e-4, atol=1e-4)


def _merged(stages: Sequence[nn.Module]) -> list[nn.Module]:
    """A norm, an activation or a pooling belongs to the convolution before it."""
    result: list[list[nn.Module]] = []
    for stage in stages:
        if result and not any(isinstance(module, nn.Conv2d | nn.Linear) for module in stage.modules()):
            result[-1].append(stage)
        else:
            result.append([stage])
    return [parts[0] if len(parts) == 1 else nn.Sequential(*parts) for parts in result]


def _plain_pool(network: nn.Module) -> bool:
    """Whether nothing but pooling lies between features and classifier."""
    return isinstance(getattr(network, "global_pool", None), nn.Module) and isinstance(
        getattr(network, "conv_head", getattr(network, "fc", None)), nn.Module
    )
