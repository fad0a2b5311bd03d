"""How sure a network may be: the temperature that suits photos it was not fitted to (Guo et al. 2017)."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional

_LOWEST, _HIGHEST = 0.05, 20.0
_ROUNDS = 60
_GOLDEN = (math.sqrt(5) - 1) / 2


def temperature(logits: Tensor, targets: Tensor) -> float:
    """The temperature with the lowest cross-entropy, by golden-section search; 1 where there is no photo.

    Args:
        logits: float ``[N, C]``.
        targets: int64 ``[N]``.
    """
    if not len(targets):
        return 1.0
    scores = logits.double()

    def loss(log_temperature: float) -> float:
        return float(functional.cross_entropy(scores / math.exp(log_temperature), targets))

    low, high = math.log(_LOWEST), math.log(_HIGHEST)
    for _ in range(_ROUNDS):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        low, high = (low, right) if loss(left) <= loss(right) else (left, high)
    return math.exp((low + high) / 2)
