"""The processes that fit a network together: rank 0 leads, the others take part in each fit that it announces.

The leader alone prepares, decides, writes and measures, so that nothing else in a training has to know of the others.
For each fit it sends them the network and where the photos lie; they run the same loop on their part of each batch.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import IO, TYPE_CHECKING

import torch
import torch.distributed
from torch.distributed import TCPStore

from animal_classification.errors import AnimalsError, UsageError
from animal_classification.training.neural.device import accelerator
from animal_classification.training.neural.shard import Shard
from animal_classification.training.placement import Placement

if TYPE_CHECKING:
    from animal_classification.config.schema import TrainerConfig
    from animal_classification.training.neural.fit_plan import FitTask
    from animal_classification.training.neural.image_cache import DecodeTask
    from animal_classification.training.recipe import RecipeInputs

    TeamTask = FitTask | DecodeTask

# Between two fits the leader may cross-validate and measure for long; a process that dies is noticed at once.
_TIMEOUT = timedelta(hours=12)
_GRACE, _POLL = 10.0, 0.05  # seconds


@dataclass
class Helper:
    """A process that was started on this machine, and what it says when it fails."""

    rank: int
    process: subprocess.Popen[bytes]
    complaints: IO[bytes]

    def ended(self) -> str | None:
        """How it failed, in words; ``None`` while it works, or where all was well."""
        code = self.process.poll()
        if not code:
            return None
        self.complaints.seek(0)
        lines = self.complaints.read().decode("utf-8", "replace").strip().splitlines()
        said = f": {lines[-1]}" if lines else f" by signal {-code}" if code < 0 else f" with exit code {code}"
        return f"process {self.rank} ended{said}"

    def stop(self) -> None:
        """End it, at once if need be."""
        if self.process.stdin is not None:
            self.process.stdin.close()  # what it waits for
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.complaints.close()


@dataclass
class Team:
    """All processes of a training, seen from one of them.

    Attributes:
        placement: Of this process.
        helpers: Those that it started.
    """

    placement: Placement
    helpers: Sequence[Helper] = ()

    @property
    def shard(self) -> Shard:
        """This process's part of each batch."""
        return Shard(self.placement.rank, self.placement.world)

    def decode(self, task: DecodeTask, progress: Callable[[int], None]) -> None:
        """Decode photos together; returns when the last is decoded.

        Raises:
            AnimalsError: One is gone, or a process of the team is.
        """
        with self.explained():
            self.send(task)
            task.decode(self.shard, lambda done: progress(done * self.placement.world))
            self.wait()

    def wait(self) -> None:
        """For all others to come as far."""
        self.shard.total(torch.zeros(1))

    def send(self, task: TeamTask | None) -> None:
        """Announce what is done next to all others, or with ``None`` the end."""
        if self.placement.world > 1:
            torch.distributed.broadcast_object_list([task], src=0, device=torch.device("cpu"))

    def receive(self) -> TeamTask | None:
        """What the leader announces next."""
        found: list[TeamTask | None] = [None]
        torch.distributed.broadcast_object_list(found, src=0, device=torch.device("cpu"))
        return found[0]

    @contextmanager
    def explained(self) -> Iterator[None]:
        """What torch says when a process of the team is gone becomes one line.

        Raises:
            AnimalsError: One is.
        """
        try:
            yield
        except RuntimeError as error:
            reason = self._lost() if self.placement.world > 1 else None
            if reason is None and "Connection" not in str(error):
                raise
            raise AnimalsError(
                f"training stopped: {reason or 'a process on another machine ended'}; give the same command again, and "
                "it goes on from the last checkpoint"
            ) from error

    def _lost(self) -> str | None:
        deadline = time.monotonic() + _GRACE
        while self.helpers and time.monotonic() < deadline:
            for helper in self.helpers:
                if said := helper.ended():
                    return said
            time.sleep(_POLL)
        return None


def team_of(job: RecipeInputs) -> Team:
    """The team that a recipe works in; of this process alone where it has none."""
    return job.team if isinstance(job.team, Team) else Team(Placement())


@contextmanager
def following(trainer: TrainerConfig, placement: Placement, follower: str) -> Iterator[Team]:
    """The team of a training that another process leads.

    Args:
        trainer: Its devices.
        placement: Of this process.
        follower: The module that further processes on this machine run.

    Raises:
        UsageError: There are not as many devices.
        AnimalsError: A process of the team ended, or the leader cannot be reached.
    """
    check_devices(trainer, placement)
    store = None if placement.by_torchrun else _found_store(placement)
    with joined(trainer, placement, store, follower) as team:
        yield team


def _found_store(placement: Placement) -> TCPStore:
    try:
        return TCPStore(placement.address, placement.port, placement.world, is_master=False, timeout=_TIMEOUT)
    except RuntimeError as error:
        where = f"{placement.address}:{placement.port}"
        raise AnimalsError(f"cannot reach the first process of the training at {where}: is it running?") from error


@contextmanager
def joined(trainer: TrainerConfig, placement: Placement, store: TCPStore | None, follower: str) -> Iterator[Team]:
    """A team whose processes have found each other; those that were started here end with the block.

    Raises:
        AnimalsError: One ended before.
    """
    team = Team(placement)
    try:
        with team.explained():
            team.helpers = [_start(trainer, placement, number, follower) for number in range(1, placement.starts + 1)]
            if store is not None:
                _await(team, store)
            _join(trainer, placement, store)
            yield team
    finally:
        for helper in team.helpers:
            helper.stop()
        if torch.distributed.is_initialized():
            with suppress(RuntimeError):
                torch.distributed.destroy_process_group()


def _await(team: Team, store: TCPStore) -> None:
    """Until all that were started here have found the store: one that cannot start would be waited for in vain.

    Raises:
        AnimalsError: One ended.
    """
    store.set(f"here/{team.placement.rank}", "1")
    waited = [f"here/{helper.rank}" for helper in team.helpers]
    while waited and not store.check(waited):
        for helper in team.helpers:
            if said := helper.ended():
                raise AnimalsError(f"training did not begin: {said}")
        time.sleep(_POLL)


def _join(trainer: TrainerConfig, placement: Placement, store: TCPStore | None) -> None:
    backend = "gloo"
    if accelerator(trainer) == "cuda":
        torch.cuda.set_device(placement.local_rank)
        backend = "cpu:gloo,cuda:nccl"
    if store is None:
        torch.distributed.init_process_group(backend, timeout=_TIMEOUT)
    else:
        torch.distributed.init_process_group(
            backend, store=store, rank=placement.rank, world_size=placement.world, timeout=_TIMEOUT
        )


def _start(trainer: TrainerConfig, placement: Placement, number: int, follower: str) -> Helper:
    """A further process on this machine; it ends when this one does."""
    rank = placement.rank + number
    path = os.pathsep.join(filter(None, sys.path))  # so that it finds whatever this process has imported
    environment = {
        **os.environ,
        "PYTHONPATH": path,
        **environment_of(replace(placement, rank=rank, local_rank=number)),
    }
    complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
    process = subprocess.Popen(  # noqa: S603 - this interpreter, this package
        [sys.executable, "-m", follower],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=complaints,
        env=environment,
        start_new_session=True,  # Ctrl-C is the leader's to answer
    )
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # it has ended already, and says why
        process.stdin.write(f"{trainer.model_dump_json()}\n".encode())
        process.stdin.flush()
    return Helper(rank, process, complaints)


def environment_of(placement: Placement) -> dict[str, str]:
    """A placement as environment variables, by torch's names."""
    return {
        "RANK": str(placement.rank),
        "WORLD_SIZE": str(placement.world),
        "LOCAL_RANK": str(placement.local_rank),
        "LOCAL_WORLD_SIZE": str(placement.local_world),
        "MASTER_ADDR": placement.address,
        "MASTER_PORT": str(placement.port),
    }


def placement_from(environment: Mapping[str, str]) -> Placement:
    """Back again."""
    return Placement(
        rank=int(environment["RANK"]),
        world=int(environment["WORLD_SIZE"]),
        local_rank=int(environment["LOCAL_RANK"]),
        local_world=int(environment["LOCAL_WORLD_SIZE"]),
        address=environment["MASTER_ADDR"],
        port=int(environment["MASTER_PORT"]),
    )


def check_devices(trainer: TrainerConfig, placement: Placement) -> None:
    """Refuse what cannot work.

    Raises:
        UsageError: Says how many devices there are.
    """
    device = accelerator(trainer)
    if device == "mps":
        raise UsageError("trainer.devices and trainer.nodes need a CPU or CUDA; add trainer.accelerator=cpu")
    if device == "cuda" and placement.local_world > torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise UsageError(f"trainer.devices is {placement.local_world}, and there are {count} CUDA devices")
