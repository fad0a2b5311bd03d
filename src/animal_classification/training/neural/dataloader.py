"""Batches of an epoch, in an order that seed and epoch decide; the next is fetched while one is used."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animal_classification.training.neural import seeded_random

if TYPE_CHECKING:
    from animal_classification.training.neural.image_cache import Images

Batch = tuple[Tensor, Tensor, Tensor]
"""uint8 ``[N, size, size, 3]``, targets int64 ``[N]``, and the photos' numbers int64 ``[N]``."""


@dataclass(frozen=True)
class Batches:
    """The batches of one pass over the photos.

    Attributes:
        pixels: The photos.
        targets: int64 ``[len(pixels)]``.
        order: The photos' numbers in the order in which they are used.
        size: Photos in a batch; the last one may have fewer.
        start: Batches that are left out at the beginning, because they were used before a restart.
    """

    pixels: Images
    targets: NDArray[np.int64]
    order: NDArray[np.int64]
    size: int
    start: int = 0

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

    def _batch(self, indices: NDArray[np.int64]) -> Batch:
        pixels = torch.from_numpy(np.ascontiguousarray(self.pixels.take(indices)))
        return pixels, torch.from_numpy(self.targets[indices]), torch.from_numpy(indices)


def training(
    pixels: Images, targets: NDArray[np.int64], *, size: int, seed: int, epoch: int, start: int = 0
) -> Batches:
    """A shuffled epoch."""
    return Batches(pixels, targets, seeded_random.order(seed, epoch, len(pixels)), size, start)


def in_order(pixels: Images, targets: NDArray[np.int64], *, size: int) -> Batches:
    """All photos as they come."""
    return Batches(pixels, targets, np.arange(len(pixels)), size)
