"""An exponential moving average of a network's weights, which often is better than the weights of any one step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_DECAY = 0.998


class ExponentialMovingAverage:
    """Keeps the average.

    Attributes:
        weights: Like the network's ``state_dict``; what is not a float is the network's own.
    """

    def __init__(self, network: nn.Module) -> None:
        self.weights: dict[str, Tensor] = {name: value.detach().clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take in the weights after a step; the first ones, which are bad, are soon forgotten."""
        decay = min(_DECAY, (1 + step) / (10 + step))
        for name, value in network.state_dict().items():
            kept = self.weights[name] = self.weights[name].to(value.device)
            if kept.is_floating_point():
                kept.lerp_(value, 1 - decay)
            else:
                kept.copy_(value)

    @torch.no_grad()
    def swap(self, network: nn.Module) -> None:
        """Exchange the network's weights and the average."""
        for name, value in network.state_dict().items():
            kept = self.weights[name].to(value.device)
            self.weights[name] = value.clone()
            value.copy_(kept)
