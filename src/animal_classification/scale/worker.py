"""A worker: takes shards that nobody has, does them, until all have their rows. Any number of them, on any machines."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from animal_classification.errors import AnimalsError
from animal_classification.scale.lease import Claim, Leases
from animal_classification.scale.plan import out_name
from animal_classification.scale.retry import StoreFaultError
from animal_classification.scale.shard_job import ShardJob, StoppedError
from animal_classification.scale.storage import BatchFolder

LISTING_SECONDS = 10.0
SAMPLE = 16  # leases of others that are looked at before waiting
FAULTS_IN_A_ROW = 3
"""Shards that a store may fail one after the other: it is down then, and each further one would take a minute."""


@dataclass
class WorkerResult:
    """What a worker has done.

    Attributes:
        shards: How many it put its rows for.
        rows: In these.
        lost: Shards that somebody else had done at the same time.
        failed: Shards that it could not do, with the reason.
        faults: How many of these failed one after the other, until now, because a store did not answer.
        stopped: It was told to end.
    """

    shards: int = 0
    rows: int = 0
    lost: int = 0
    failed: dict[int, str] = field(default_factory=dict)
    faults: int = 0
    stopped: bool = False

    @property
    def store_is_down(self) -> bool:
        """Whether there is no sense in trying further shards."""
        return self.faults >= FAULTS_IN_A_ROW


@dataclass
class BatchWorker:
    """One process's part in a batch.

    Attributes:
        job: Does a shard.
        leases: Says who does which.
        start: The share of the shards, from 0 to 1, after which this worker begins: so that workers do not meet.
        poll: Seconds to wait where others do all that is left.
        sleep: Waits.
        told: Told of each shard with its rows.
    """

    job: ShardJob
    leases: Leases
    start: float
    poll: float = 5.0
    sleep: Callable[[float], None] = time.sleep
    told: Callable[[int, int], None] = lambda shard, rows: None

    def run(self) -> WorkerResult:
        """Work until every shard has its rows, or has failed here, or a store is down."""
        result = WorkerResult()
        while True:
            view = _View.of(self.job.folder, self.leases)
            left = [shard for shard in self._order() if shard not in view.done and shard not in result.failed]
            if not left:
                # Of workers that were killed between their rows and the end of their lease.
                self.leases.remove({shard: view.newest[shard] for shard in view.newest.keys() & view.done})
                return result
            if not self._work(left, view, result):
                self.sleep(self.poll * (1 + random.random() / 2))  # noqa: S311 - keeps workers apart
            if result.stopped or self.job.listener.is_stopped():
                result.stopped = True
                return result
            if result.store_is_down:
                return result

    def _work(self, left: list[int], view: _View, result: WorkerResult) -> bool:
        """Do what is free, until the view is old; whether there was anything."""
        worked = False
        for claim in self._claims(left, view):
            worked = True
            self._do(claim, result)
            if result.stopped or result.store_is_down or view.is_old():
                break
        return worked

    def _claims(self, left: list[int], view: _View) -> Iterator[Claim]:
        free = [shard for shard in left if shard not in view.newest]
        held = [shard for shard in left if shard in view.newest]
        for shard in free + random.sample(held, min(SAMPLE, len(held))):
            claim = self.leases.claim_after(shard, view.newest.get(shard, -1))
            if claim is not None:
                yield claim

    def _do(self, claim: Claim, result: WorkerResult) -> None:
        if self._is_done(claim.shard):
            claim.done()  # its lease was free because it is finished
            return
        try:
            rows = self.job.do(claim)
        except StoppedError:
            result.stopped = True
        except AnimalsError as error:
            result.failed[claim.shard] = str(error)
            result.faults = result.faults + 1 if isinstance(error, StoreFaultError) else 0
        else:
            result.faults = 0
            if rows is None:
                result.lost += 1
            else:
                result.shards += 1
                result.rows += rows
                self.told(claim.shard, rows)

    def _is_done(self, shard: int) -> bool:
        return self.job.folder.exists(out_name(shard))

    def _order(self) -> list[int]:
        count = self.job.plan.shards
        first = int(self.start * count)
        return [*range(first, count), *range(first)]


@dataclass
class _View:
    """What is known of the batch, for some seconds."""

    done: set[int]
    newest: dict[int, int]
    time: float

    @classmethod
    def of(cls, folder: BatchFolder, leases: Leases) -> _View:
        newest = leases.newest()  # before what is done: a lease that is gone by then has its rows
        return cls(done_shards(folder), newest, time.monotonic())

    def is_old(self) -> bool:
        return time.monotonic() - self.time > LISTING_SECONDS


def done_shards(folder: BatchFolder) -> set[int]:
    """The shards that have their rows: one listing."""
    numbers = (name.partition(".")[0] for name in folder.names("out") if name.endswith(".parquet"))
    return {int(number) for number in numbers if number.isdecimal()}
