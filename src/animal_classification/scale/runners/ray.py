"""Workers as actors of a Ray cluster: the driver passes numbers of shards, and nothing else.

Why not Ray Data: it fails, or loses, a whole block for one broken file, and takes half a minute and 1.4 GB to start.
"""

# Imported where it is used: Ray is an extra, and takes a second to load.

from __future__ import annotations

import logging
import os
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field, replace
from typing import Any

from animal_classification.errors import AnimalsError, MissingExtraError
from animal_classification.predict.job import Listener
from animal_classification.scale.lease import STALE_AFTER, new_worker
from animal_classification.scale.plan import load_plan, out_name
from animal_classification.scale.retry import StoreFaultError
from animal_classification.scale.runners.local import RunOptions, RunReport
from animal_classification.scale.storage import open_folder
from animal_classification.scale.worker import FAULTS_IN_A_ROW, done_shards
from animal_classification.scale.worker_process import WorkerTask, build

WINDOW = 2  # shards that an actor has been given: the one that it does, and the next
TRIES = 10  # of a shard, by actors that died; a file that ends the process is given up before
MEMORY = 400 * 1024 * 1024
OBJECT_STORE = (
    100 * 1024 * 1024
)  # numbers of shards are all that goes through it; Ray takes 30% of the memory by default
WAIT_SECONDS = 30.0


@dataclass(frozen=True)
class ShardAnswer:
    """What an actor says of a shard: its rows where it put them, or why it could not (a fault: a store is silent)."""

    rows: int | None = None
    error: str | None = None
    fault: bool = False
    busy: bool = False


class ShardActor:
    """A worker inside of Ray: loads the model once, then does what it is told.

    Args:
        task: As for a worker that is a process.
    """

    def __init__(self, task: WorkerTask) -> None:
        # Of every life another name: the leases of the one before belong to a dead process.
        self._worker = build(replace(task, name=new_worker()), Listener())

    def do(self, shard: int) -> ShardAnswer:
        """Do a shard, unless it is done or in other hands."""
        worker = self._worker
        try:
            if worker.job.folder.exists(out_name(shard)):
                return ShardAnswer()
            claim = worker.leases.claim(shard)
            if claim is None:
                return ShardAnswer(busy=True)
            return ShardAnswer(rows=worker.job.do(claim))
        except AnimalsError as error:
            return ShardAnswer(error=str(error), fault=isinstance(error, StoreFaultError))

    def pid(self) -> int:
        """Of the process: answered when the model is loaded."""
        return os.getpid()


def run_on_ray(
    url: str, options: RunOptions, *, address: str | None = None, told: Callable[[int], None] = lambda rows: None
) -> RunReport:
    """Work until all shards have their rows.

    Args:
        url: The batch, at a place that all nodes reach.
        options: How; no ``workers`` means one for each CPU of the cluster.
        address: Of the cluster; by default the one around this process, else a new one on this machine.
        told: Told of the number of rows that were written, as they are.

    Raises:
        MissingExtraError: Ray is not installed.
        AnimalsError: There is no plan, or no cluster.
    """
    plan = load_plan(open_folder(url))
    # Ray tells of nodes that die on stdout, which is our caller's.
    with redirect_stdout(sys.stderr), _connected(address) as ray:
        left = sorted(set(range(plan.shards)) - done_shards(open_folder(url)))
        cpus = int(ray.cluster_resources().get("CPU", 1))
        count = max(1, min(options.workers or cpus // options.threads, len(left)))
        task = WorkerTask(url=url, name="", threads=options.threads, engine=options.engine, heartbeat=options.heartbeat)
        remote = ray.remote(num_cpus=options.threads, max_restarts=-1, max_task_retries=3)(ShardActor)
        actors = [remote.remote(task) for _ in range(count)]
        return _Pool(ray, actors, deque(left), options.heartbeat, told).run()


@contextmanager
def _connected(address: str | None) -> Iterator[Any]:
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("--runner ray", "scale") from error
    ours = not ray.is_initialized()
    where = address or ("auto" if "RAY_ADDRESS" in os.environ else None)
    more = {} if where else {"object_store_memory": OBJECT_STORE, "include_dashboard": False}
    logging.getLogger("ray").setLevel(logging.ERROR)  # what it says at a start is for its programmers
    try:
        if ours:
            ray.init(address=where, log_to_driver=False, logging_level=logging.ERROR, **more)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise AnimalsError(f"no Ray cluster at {where or 'this machine'!r}: {str(error).splitlines()[0]}") from error
    try:
        yield ray
    finally:
        if ours:
            ray.shutdown()


@dataclass
class _Given:
    """A shard that is with an actor, since when."""

    shard: int
    actor: int
    since: float


@dataclass
class _Pool:
    """Actors, and the shards that are with them."""

    ray: Any
    actors: list[Any]
    left: deque[int]
    heartbeat: float
    told: Callable[[int], None]
    given: dict[Any, _Given] = field(default_factory=dict)
    later: list[tuple[float, int]] = field(default_factory=list)
    deaths: Counter[int] = field(default_factory=Counter)
    faults: int = 0
    report: RunReport = field(default_factory=RunReport)

    def run(self) -> RunReport:
        """Give each actor two shards; another when one of them is done."""
        unfinished = set(self.left)
        while unfinished and self.faults < FAULTS_IN_A_ROW * len(self.actors):
            self._give_all(unfinished)
            if not self.given:
                time.sleep(self.heartbeat / 4)
                continue
            ready, _ = self.ray.wait(list(self.given), num_returns=1, timeout=self.heartbeat)
            for reference in ready:
                given = self.given.pop(reference)
                if given.shard in unfinished and self._take(reference, given.shard):
                    unfinished.discard(given.shard)
        return self.report

    def _give_all(self, unfinished: set[int]) -> None:
        load = Counter(given.actor for given in self.given.values())
        for actor in range(len(self.actors)):
            while load[actor] < WINDOW and (shard := self._next(unfinished)) is not None:
                self.given[self.actors[actor].do.remote(shard)] = _Given(shard, actor, time.monotonic())
                load[actor] += 1

    def _next(self, unfinished: set[int]) -> int | None:
        """What to give away now: a new shard, one that was in other hands, or one whose actor may be gone for good."""
        now = time.monotonic()
        if self.left:
            return self.left.popleft()
        for due, shard in self.later:
            if due <= now:
                self.later.remove((due, shard))
                return shard
        copies = Counter(given.shard for given in self.given.values())
        old = now - STALE_AFTER * self.heartbeat
        for given in self.given.values():
            if given.since < old and copies[given.shard] == 1 and given.shard in unfinished:
                return given.shard  # its lease says whether its actor lives
        return None

    def _take(self, reference: Any, shard: int) -> bool:
        """Hear what became of a shard; whether it is finished, in one way or the other."""
        try:
            answer: ShardAnswer = self.ray.get(reference)
        except self.ray.exceptions.RayActorError as error:
            return self._died(shard, str(error).strip().splitlines()[0])
        except self.ray.exceptions.RayTaskError as error:
            return self._failed(f"shard {shard}: {error.cause}")
        self.faults = self.faults + 1 if answer.fault else 0
        if answer.error:
            return self._failed(answer.error)
        if answer.busy:
            self.later.append((time.monotonic() + self.heartbeat, shard))
            return False
        if answer.rows is not None:
            self.report.shards += 1
            self.report.rows += answer.rows
            self.told(answer.rows)
        return True

    def _died(self, shard: int, how: str) -> bool:
        self.report.deaths += 1
        self.deaths[shard] += 1
        if self.deaths[shard] >= TRIES:
            return self._failed(f"shard {shard}: its workers die again and again ({how}); too little memory?")
        self.left.append(shard)
        return False

    def _failed(self, error: str) -> bool:
        if error not in self.report.errors:
            self.report.errors.append(error)
        return True
