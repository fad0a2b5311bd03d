"""The first process of a training: it starts the others, or waits for them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from torch.distributed import TCPStore

from animal_classification.errors import UsageError
from animal_classification.training.neural.team import Team, check_devices, joined
from animal_classification.training.placement import placement_of

if TYPE_CHECKING:
    from animal_classification.config.schema import TrainerConfig

FOLLOWER = "animal_classification.training.neural.follower"


@contextmanager
def leading(trainer: TrainerConfig) -> Iterator[Team]:
    """The team of a training, led by this process, while the block lasts.

    Raises:
        UsageError: There are not as many devices, or this process is not the first.
        AnimalsError: A process of the team ended.
    """
    placement = placement_of(trainer, os.environ)
    if placement.rank:
        raise UsageError(f"this is process {placement.rank} of a training, and only `animals train` joins it")
    if placement.world == 1:
        yield Team(placement)
        return
    check_devices(trainer, placement)
    store = None
    if not placement.by_torchrun:
        store = TCPStore(placement.address, placement.port, placement.world, is_master=True, wait_for_workers=False)
        placement = replace(placement, port=store.port)
    with joined(trainer, placement, store, FOLLOWER) as team:
        yield team
        team.send(None)
