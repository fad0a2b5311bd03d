"""Which of the processes of a training this one is: from the configuration and what a launcher left in the environment.

One process trains alone unless told otherwise. ``trainer.devices`` asks for several on this machine, which `animals
train` starts itself. ``trainer.nodes`` asks for several machines: each runs the same command, and learns its number and
where the first one is from its launcher (torchrun, the PyTorchJob of Kubernetes, a JobSet, Vertex AI).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from animal_classification.errors import UsageError

if TYPE_CHECKING:
    from animal_classification.config.schema import TrainerConfig

DEFAULT_PORT = 29500
_LOCALHOST = "127.0.0.1"
# The number of this machine, by the launchers that set it; the first that is there counts.
_NODE_RANKS = ("NODE_RANK", "PET_NODE_RANK", "GROUP_RANK", "JOB_COMPLETION_INDEX", "RANK")
_TORCHRUN = (
    "TORCHELASTIC_RUN_ID",
    "RANK",
    "WORLD_SIZE",
    "LOCAL_RANK",
    "LOCAL_WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
)


@dataclass(frozen=True, kw_only=True)
class Placement:
    """One process among all of a training.

    Attributes:
        rank: From 0, over all machines.
        world: Processes in all.
        local_rank: From 0, on this machine.
        local_world: Processes on this machine.
        address: Where rank 0 listens.
        port: On which port; 0 where rank 0 has yet to choose one.
        starts: Processes that this one starts on its machine, after itself.
        by_torchrun: PyTorch's launcher started all of them, and keeps the store in which they find each other.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1
    address: str = _LOCALHOST
    port: int = 0
    starts: int = 0
    by_torchrun: bool = False

    @property
    def nodes(self) -> int:
        """Machines."""
        return self.world // self.local_world

    @property
    def node(self) -> int:
        """The number of this machine, from 0."""
        return self.rank // self.local_world


def placement_of(trainer: TrainerConfig, environment: Mapping[str, str]) -> Placement:
    """Where this process stands.

    Raises:
        UsageError: The configuration asks for several machines, and nothing says which one this is.
    """
    if all(name in environment for name in _TORCHRUN):
        return _of_torchrun(environment)
    if trainer.nodes == 1:
        return Placement(world=trainer.devices, local_world=trainer.devices, starts=trainer.devices - 1)
    node, address, port = _this_node(environment)
    if not 0 <= node < trainer.nodes:
        raise UsageError(f"this is machine {node}, counted from 0, and trainer.nodes is {trainer.nodes}")
    return Placement(
        rank=node * trainer.devices,
        world=trainer.nodes * trainer.devices,
        local_world=trainer.devices,
        address=address,
        port=port,
        starts=trainer.devices - 1,
    )


def _of_torchrun(environment: Mapping[str, str]) -> Placement:
    return Placement(
        rank=_number(environment, "RANK"),
        world=_number(environment, "WORLD_SIZE"),
        local_rank=_number(environment, "LOCAL_RANK"),
        local_world=_number(environment, "LOCAL_WORLD_SIZE"),
        address=environment["MASTER_ADDR"],
        port=_number(environment, "MASTER_PORT"),
        by_torchrun=True,
    )


def _this_node(environment: Mapping[str, str]) -> tuple[int, str, int]:
    """Number, address and port."""
    if "CLUSTER_SPEC" in environment:
        return _of_vertex(environment["CLUSTER_SPEC"])
    name = next((name for name in _NODE_RANKS if name in environment), None)
    if name is None or "MASTER_ADDR" not in environment:
        missing = [] if name else ["NODE_RANK"]
        missing += [] if "MASTER_ADDR" in environment else ["MASTER_ADDR"]
        raise UsageError(
            f"trainer.nodes asks for several machines, and this one lacks {' and '.join(missing)}: set NODE_RANK (0 to "
            "nodes - 1), MASTER_ADDR (the host of number 0) and MASTER_PORT, or start it by a launcher that does"
        )
    port = _number(environment, "MASTER_PORT") if "MASTER_PORT" in environment else DEFAULT_PORT
    return _number(environment, name), environment["MASTER_ADDR"], port


def _of_vertex(text: str) -> tuple[int, str, int]:
    """Vertex AI: worker pool 0 is the first machine, those of pool 1 follow."""
    try:
        document = json.loads(text)
        pools, task = document["cluster"], document["task"]
        before = sum(len(pools[name]) for name in sorted(pools) if name < task["type"])
        host, _, port = pools["workerpool0"][0].rpartition(":")
        return before + int(task["index"]), host, int(port)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise UsageError(f"CLUSTER_SPEC is not what Vertex AI sets: {error}") from error


def _number(environment: Mapping[str, str], name: str) -> int:
    try:
        return int(environment[name])
    except ValueError:
        raise UsageError(f"{name}={environment[name]!r} is not a number") from None
