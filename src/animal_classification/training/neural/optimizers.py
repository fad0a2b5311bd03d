"""Optimisers, and learning rates as a function of the step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from animal_classification.config.schema import OptimConfig

Groups = list[dict[str, Any]]
"""Parameters with their ``lr_scale`` and ``weight_decay``."""

_START, _END = 0.04, 1e-4  # of the largest rate: where one-cycle begins, and where schedules end


def groups(parameters: Iterable[nn.Parameter], config: OptimConfig, *, lr_scale: float = 1.0) -> Groups:
    """Weights decay; biases and scales do not."""
    wanted = [parameter for parameter in parameters if parameter.requires_grad]
    decayed = [parameter for parameter in wanted if parameter.ndim > 1]
    others = [parameter for parameter in wanted if parameter.ndim <= 1]
    pairs = ((decayed, config.weight_decay), (others, 0.0))
    return [{"params": some, "weight_decay": decay, "lr_scale": lr_scale} for some, decay in pairs if some]


def optimizer(groups_: Groups, config: OptimConfig) -> torch.optim.Optimizer:
    """As configured, at the full rate; ``set_rate`` sets the rate of each step."""
    scaled = [{**group, "lr": config.lr * group["lr_scale"]} for group in groups_]
    if config.name == "sgd":
        return torch.optim.SGD(scaled, lr=config.lr, momentum=config.momentum, nesterov=config.momentum > 0)
    kind = torch.optim.AdamW if config.name == "adamw" else torch.optim.Adam
    return kind(scaled, lr=config.lr)


def set_rate(optimizer_: torch.optim.Optimizer, config: OptimConfig, step: int, steps: int) -> float:
    """Set the rate of a step, and say what it is (for a group of scale 1)."""
    rate = config.lr * factor(config, step, steps)
    for group in optimizer_.param_groups:
        group["lr"] = rate * group["lr_scale"]
    return rate


def factor(config: OptimConfig, step: int, steps: int) -> float:
    """The rate of a step, as a fraction of the largest.

    ``onecycle`` rises and falls along cosines (Smith and Topin 2017); ``cosine`` rises linearly and falls along one;
    ``constant`` rises and stays.
    """
    warmup = config.warmup * steps
    if step < warmup:
        done = (step + 1) / (warmup + 1)
        return _between(_START, 1.0, (1 - math.cos(math.pi * done)) / 2) if config.schedule == "onecycle" else done
    if config.schedule == "constant":
        return 1.0
    done = (step - warmup) / max(1.0, steps - warmup)
    return _between(_END, 1.0, (1 + math.cos(math.pi * done)) / 2)


def _between(low: float, high: float, share: float) -> float:
    return low + (high - low) * share
