"""One process's part of each batch, chosen so that all together compute what one process would.

Batches, order, augmentation and learning rates are those of one process, whatever the number of processes. Of a batch
``order[s : s + B]``, rank ``r`` of ``W`` takes ``[r::W]``: no photo is seen twice, and none is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed
from numpy.typing import NDArray
from torch import Tensor, nn


@dataclass(frozen=True)
class Shard:
    """Which part.

    Attributes:
        rank: Of this process, from 0; 0 writes checkpoints and reports.
        world: How many processes there are.
    """

    rank: int = 0
    world: int = 1

    @property
    def alone(self) -> bool:
        """Everything is this process's."""
        return self.world == 1

    @property
    def leads(self) -> bool:
        """It is the one that writes and reports."""
        return self.rank == 0

    def part(self, whole: NDArray[np.int64]) -> NDArray[np.int64]:
        """This process's photos of some; the first of all where there is none for it, which then counts for nothing."""
        own = whole[self.rank :: self.world]
        return own if len(own) else whole[:1]

    def counts(self, whole: int) -> bool:
        """Whether there was a photo for it among so many."""
        return self.rank < whole

    def total(self, values: Tensor) -> Tensor:
        """The sum over all processes, the same on each."""
        if self.alone:
            return values
        summed = values.clone()
        torch.distributed.all_reduce(summed)
        return summed


class BatchDropout(nn.Dropout):
    """Dropout whose mask for a photo is the same, however many processes share its batch.

    Attributes:
        drawn: Photos in the whole batch, and the place of this process's among them; ``None`` where they are all.
    """

    drawn: tuple[int, slice] | None = None

    def forward(self, input: Tensor) -> Tensor:
        if self.drawn is None or not self.training or self.p == 0:
            return super().forward(input)
        count, rows = self.drawn
        kept = 1 - self.p
        mask = torch.empty((count, *input.shape[1:]), dtype=input.dtype, device=input.device).bernoulli_(kept)
        own = mask[rows] if rows.start < count else mask[:1]
        return input * own.div_(kept)


def share_dropout(network: nn.Module, shard: Shard, count: int) -> None:
    """Tell a network's dropout which rows of a batch of ``count`` photos it gets."""
    for module in network.modules():
        if isinstance(module, BatchDropout):
            module.drawn = None if shard.alone else (count, slice(shard.rank, None, shard.world))
