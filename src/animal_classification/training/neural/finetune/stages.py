"""A network as a row of stages: what stays as it is, what learns, and how fast.

Networks whose features come out of a plain row of modules (EfficientNet, MobileNet, ResNet, ConvNeXt and their kin) can
be cut between two stages; others (transformers with tokens and positions) are one stage that learns as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from animal_classification.training.neural import optimizers
from animal_classification.training.neural.finetune.ensemble import Ensemble, parallel_stages
from animal_classification.training.neural.optimizers import Groups
from animal_classification.training.neural.shard import BatchDropout

if TYPE_CHECKING:
    from animal_classification.config.schema import OptimConfig

# In the order of the forward pass; names that end in * are rows themselves. A guess, which `split_into_stages` checks.
_STAGE_NAMES = (
    ("conv_stem", "bn1", "blocks*", "conv_head", "bn2"),
    ("conv_stem", "bn1", "blocks*"),
    ("conv1", "bn1", "act1", "maxpool", "layer1", "layer2", "layer3", "layer4"),
    ("stem*", "stages*", "norm_pre"),
    ("stem", "stages*", "final_conv"),
)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


class UncutNetwork(nn.Module):
    """The features of a network that cannot be cut into stages, as one stage."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        return cast(Tensor, cast(Any, self.network).forward_features(pixels))


class Pooling(nn.Module):
    """From the last feature map to the embedding, as the network itself pools it."""

    def __init__(self, network: nn.Module, features: Tensor) -> None:
        super().__init__()
        self.pool: nn.Module | None = cast(Any, network).global_pool if _only_pools(network, features) else None
        self._whole = [network]  # in a list, so that its weights are not counted twice

    def forward(self, features: Tensor) -> Tensor:
        if self.pool is not None:
            return cast(Tensor, self.pool(features)).flatten(1)
        return cast(Tensor, cast(Any, self._whole[0]).forward_head(features, pre_logits=True))


class TrainableTail(nn.Module):
    """The stages that learn, and the head.

    Args:
        stages: In the order of the forward pass.
        pooling: From features to the embedding.
        head: From the embedding to logits.
        drop: Share of the embedding that is dropped in training.
        width: Channels of the input. Those after them, of the mirrored view, are used in training only.
    """

    def __init__(
        self, stages: Sequence[nn.Module], pooling: nn.Module, head: nn.Linear, *, drop: float, width: int
    ) -> None:
        super().__init__()
        self.width = width
        self.stages = nn.Sequential(*stages)
        self.pooling = pooling
        self.dropout = BatchDropout(drop)
        self.head = head

    def train(self, mode: bool = True) -> TrainableTail:
        """Batch norms stay as they are: a small batch's statistics are worse than a million photos'."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, NORMS):
                module.eval()
        return self

    def embed(self, inputs: Tensor) -> Tensor:
        """``[N, D]``."""
        return cast(Tensor, self.pooling(self.stages(inputs[:, : self.width])))

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits ``[N, C]`` for what the frozen stages give."""
        return cast(Tensor, self.head(self.dropout(self.embed(inputs))))

    def outputs(self, inputs: Tensor) -> dict[str, Tensor]:
        """``logits`` and ``embedding``."""
        embedding = self.embed(inputs)
        return {"logits": self.head(embedding), "embedding": embedding}


def split_into_stages(network: nn.Module, size: int) -> list[nn.Module]:
    """The row of modules that makes the network's features; a single one where it cannot be taken apart.

    Args:
        network: timm's, in evaluation mode.
        size: Height and width of its input.
    """
    probe = torch.linspace(-1, 1, 3 * size * size).reshape(1, 3, size, size)
    with torch.inference_mode():
        expected = cast(Any, network).forward_features(probe)
        if isinstance(network, Ensemble):
            stages = parallel_stages([split_into_stages(member, size) for member in network.members], size)
            return (
                stages
                if len(stages) > 1 and _same(nn.Sequential(*stages), probe, expected)
                else [UncutNetwork(network)]
            )
        for names in _STAGE_NAMES:
            stages = list(_row(network, names))
            if len(stages) > 1 and _same(nn.Sequential(*stages), probe, expected):
                return _merged(stages)
    return [UncutNetwork(network)]


def parameter_groups(tail: TrainableTail, config: OptimConfig, decay: float) -> Groups:
    """What learns, the head first; each stage ``decay`` times as fast as the one after it."""
    found = optimizers.groups(tail.head.parameters(), config)
    for depth, stage in enumerate(reversed(tail.stages)):
        found += optimizers.groups(stage.parameters(), config, lr_scale=decay**depth)
    return found


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
    return found.shape == expected.shape and bool(torch.allclose(found, expected, rtol=1e-4, atol=1e-4))


def _merged(stages: Sequence[nn.Module]) -> list[nn.Module]:
    """A norm, an activation or a pooling belongs to the convolution before it."""
    result: list[list[nn.Module]] = []
    for stage in stages:
        if result and not any(isinstance(module, nn.Conv2d | nn.Linear) for module in stage.modules()):
            result[-1].append(stage)
        else:
            result.append([stage])
    return [parts[0] if len(parts) == 1 else nn.Sequential(*parts) for parts in result]


def _only_pools(network: nn.Module, features: Tensor) -> bool:
    """Whether nothing but pooling lies between features and classifier."""
    pool = getattr(network, "global_pool", None)
    if not isinstance(pool, nn.Module) or features.ndim != 4:
        return False
    pooled, expected = pool(features).flatten(1), cast(Any, network).forward_head(features, pre_logits=True)
    return pooled.shape == expected.shape and bool(torch.allclose(pooled, expected, rtol=1e-4, atol=1e-4))
