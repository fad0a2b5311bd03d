"""Batches of an epoch, in an order that seed and epoch decide; the next is fetched while one is used."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animal_classification.training.neural import seeded_random
from animal_classification.training.neural.shard import Shard

if TYPE_CHECKING:
    from animal_classification.training.neural.image_cache import Images

Batch = tuple[Tensor, Tensor, Tensor, Tensor]
"""uint8 ``[N, size, size, 3]``, targets int64 ``[N]``, the photos' numbers int64 ``[N]``, and those of the whole batch,
of which these are one process's part."""


@dataclass(frozen=True)
class Batches:
    """The batches of one pass over the photos.

    Attributes:
        pixels: The photos.
        targets: int64 ``[len(pixels)]``.
        order: The photos' numbers in the order in which they are used.
        size: Photos in a batch; the last one may have fewer.
        start: Batches that are left out at the beginning, because they were used before a restart.
        shard: The part of each batch that is wanted.
    """

    pixels: Images
    targets: NDArray[np.int64]
    order: NDArray[np.int64]
    size: int
    start: int = 0
    shard: Shard = field(default_factory=Shard)

    def __len__(self) -> int:
        return -(-len(self.order) // self.size) - self.start

    def __iter__(self) -> Iterator[Batch]:
        positions = range(self.start * self.size, len(self.order), self.size)
        chosen = [self.order[position : position + self.size] for position in positions]
        with ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(self._batch, chosen[0]) if chosen else None
            for following in (*chosen[1:], None):
                assert coming is not None
                batch = coming.result()
                coming = ahead.submit(self._batch, following) if following is not None else None
                yield batch

    def _batch(self, whole: NDArray[np.int64]) -> Batch:
        indices = self.shard.part(whole)
        pixels = torch.from_numpy(np.ascontiguousarray(self.pixels.take(indices)))
        return pixels, torch.from_numpy(self.targets[indices]), torch.from_numpy(indices), torch.from_numpy(whole)


def shuffled(pixels: Images, targets: NDArray[np.int64], *, size: int, seed: int, epoch: int) -> Batches:
    """An epoch of training."""
    return Batches(pixels, targets, seeded_random.order(seed, epoch, len(pixels)), size)


def in_order(pixels: Images, targets: NDArray[np.int64], *, size: int, shard: Shard) -> Batches:
    """Photos as they come: each process its own, in full batches."""
    return Batches(pixels, targets, shard.part(np.arange(len(pixels))), size)
