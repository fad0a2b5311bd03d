"""How far a batch is: what lies in its folder, and nothing else, says so."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from animal_classification.scale.lease import Lease, Leases, lease_name
from animal_classification.scale.plan import Plan, load_plan
from animal_classification.scale.storage import BatchFolder
from animal_classification.scale.worker import done_shards

LOOKED_AT = 100  # leases


@dataclass(frozen=True, kw_only=True)
class BatchStatus:
    """How far it is.

    Attributes:
        photos: Planned.
        rows: Of the shards that are done.
        shards: Planned.
        done: Shards that have their rows.
        working: Shards that somebody works on; an estimate from a sample where there are many.
        left_behind: Shards whose worker is gone; the next one takes them.
        deaths: Processes that the shards in work have cost, of those looked at.
    """

    photos: int
    rows: int
    shards: int
    done: int
    working: int
    left_behind: int
    deaths: int

    @property
    def is_done(self) -> bool:
        return self.done == self.shards

    def as_object(self) -> dict[str, Any]:
        return asdict(self) | {"finished": self.is_done}


def read_status(folder: BatchFolder, clock: Callable[[], float] = time.time) -> BatchStatus:
    """Two listings and at most a hundred small files, however many shards there are.

    Raises:
        UsageError: There is no plan.
        AnimalsError: The folder cannot be read.
    """
    plan = load_plan(folder)
    leases = Leases(folder, "", clock=clock)
    newest = leases.newest()
    done = {shard for shard in done_shards(folder) if shard < plan.shards}
    held = {shard: number for shard, number in newest.items() if shard not in done}
    states: Counter[str] = Counter()
    deaths = 0
    looked_at = list(held.items())[:LOOKED_AT]
    for shard, number in looked_at:
        try:
            lease = Lease.parse(folder.read(lease_name(shard, number)))
        except FileNotFoundError:
            continue
        gone = lease is None or leases.is_gone(lease)
        states["gone" if gone else "working"] += 1
        deaths += lease.deaths if lease else 0
    scale = len(held) / max(1, len(looked_at))
    return BatchStatus(
        photos=plan.photos,
        rows=sum(rows_of(plan, shard) for shard in done),
        shards=plan.shards,
        done=len(done),
        working=round(states["working"] * scale),
        left_behind=round(states["gone"] * scale),
        deaths=deaths,
    )


def rows_of(plan: Plan, shard: int) -> int:
    """How many rows a shard has: all have the same number, but for the last."""
    return min(plan.shard, plan.photos - shard * plan.shard)
