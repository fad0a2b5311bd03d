"""Which process of a training this one is, by what launchers leave in the environment."""

from __future__ import annotations

import json

import pytest

from animal_classification.config.compose import compose
from animal_classification.config.schema import TrainerConfig
from animal_classification.errors import UsageError
from animal_classification.training.placement import Placement, placement_of
from animal_classification.training.run import Origin, fingerprint

VERTEX = {
    "cluster": {"workerpool0": ["host-0:2222"], "workerpool1": ["host-1:2222", "host-2:2222"]},
    "environment": "cloud",
    "task": {"type": "workerpool1", "index": 1},
}


def trainer(devices: int, nodes: int) -> TrainerConfig:
    return compose(("recipe=cnn", f"trainer.devices={devices}", f"trainer.nodes={nodes}")).trainer


def test_one_process_is_alone() -> None:
    assert placement_of(trainer(1, 1), {"RANK": "3"}) == Placement()  # whatever some other program has set


def test_several_on_one_machine_are_started_here() -> None:
    assert placement_of(trainer(4, 1), {}) == Placement(world=4, local_world=4, starts=3)


@pytest.mark.parametrize("name", ["NODE_RANK", "PET_NODE_RANK", "GROUP_RANK", "JOB_COMPLETION_INDEX", "RANK"])
def test_machines_are_numbered_by_their_launcher(name: str) -> None:
    found = placement_of(trainer(2, 3), {name: "1", "MASTER_ADDR": "first", "MASTER_PORT": "1234"})
    assert (found.rank, found.world, found.starts, found.node, found.nodes) == (2, 6, 1, 1, 3)
    assert (found.address, found.port) == ("first", 1234)


def test_vertex_has_a_pool_for_the_first() -> None:
    found = placement_of(trainer(1, 3), {"CLUSTER_SPEC": json.dumps(VERTEX)})
    assert (found.rank, found.world, found.address, found.port) == (2, 3, "host-0", 2222)
    first = {**VERTEX, "task": {"type": "workerpool0", "index": 0}}
    assert placement_of(trainer(1, 3), {"CLUSTER_SPEC": json.dumps(first)}).rank == 0


def test_torchrun_has_started_all() -> None:
    names = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4", "MASTER_PORT": "99"}
    found = placement_of(trainer(1, 1), {**names, "MASTER_ADDR": "first", "TORCHELASTIC_RUN_ID": "x"})
    assert (found.rank, found.world, found.local_rank, found.node, found.starts) == (5, 8, 1, 1, 0)
    assert found.by_torchrun


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "this one lacks NODE_RANK and MASTER_ADDR"),
        ({"NODE_RANK": "0"}, "this one lacks MASTER_ADDR"),
        ({"MASTER_ADDR": "first"}, "this one lacks NODE_RANK:"),
        ({"NODE_RANK": "2", "MASTER_ADDR": "first"}, "this is machine 2, counted from 0, and trainer.nodes is 2"),
        ({"NODE_RANK": "one", "MASTER_ADDR": "first"}, "NODE_RANK='one' is not a number"),
        ({"CLUSTER_SPEC": "{}"}, "CLUSTER_SPEC is not what Vertex AI sets"),
    ],
)
def test_what_is_missing_is_said(environment: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        placement_of(trainer(1, 2), environment)


def test_a_probe_refuses_several() -> None:
    with pytest.raises(UsageError, match=r"trainer\.devices and trainer\.nodes are for recipe=finetune and recipe=cnn"):
        compose(("trainer.devices=2",))


def test_a_run_is_the_same_whatever_the_number_of_processes() -> None:
    origin = Origin(data_version="1", code={"version": "1", "git": None})
    alone, shared = (compose(("recipe=cnn", f"trainer.devices={count}")) for count in (1, 4))
    assert fingerprint(alone, origin) == fingerprint(shared, origin)
