"""Platforms that start numbered tasks: which task this is, and of how many, from the variables that each sets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from animal_classification.errors import UsageError

# Index, count, and what the first index is called: Cloud Run Jobs (container contract), Kubernetes Indexed Jobs (our
# documents set the count), SLURM job arrays (sbatch(1)), AWS Batch (array jobs; the count is to be set), and any other.
VARIABLES = (
    ("CLOUD_RUN_TASK_INDEX", "CLOUD_RUN_TASK_COUNT", None),
    ("JOB_COMPLETION_INDEX", "ANIMALS_TASK_COUNT", None),
    ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN"),
    ("AWS_BATCH_JOB_ARRAY_INDEX", "ANIMALS_TASK_COUNT", None),
    ("ANIMALS_TASK_INDEX", "ANIMALS_TASK_COUNT", None),
)

CLUSTER = "CLUSTER_SPEC"  # JSON of Vertex AI: the machines of each pool, and which of them this is


@dataclass(frozen=True)
class TaskIndex:
    """One of many tasks.

    Attributes:
        index: From 0.
        count: How many there are.
    """

    index: int
    count: int

    @property
    def start(self) -> float:
        """The share of the shards after which this task begins."""
        return self.index / self.count


def task_index(environment: Mapping[str, str]) -> TaskIndex:
    """Which task this is.

    Where nobody says how many there are, the tasks begin at places that are spread as evenly as can be without knowing.

    Raises:
        UsageError: No platform's variables are set, or they are no numbers.
    """
    for name, count_name, first_name in VARIABLES:
        if name in environment:
            index = _number(environment, name) - (_number(environment, first_name) if first_name else 0)
            if count_name not in environment:
                return TaskIndex(_mirrored(index), 1 << 16)
            count = _number(environment, count_name)
            if not 0 <= index < count:
                raise UsageError(f"{name} is task {index} of {count} ({count_name}): that cannot be")
            return TaskIndex(index, count)
    if CLUSTER in environment:
        return _vertex_task(environment[CLUSTER])
    names = ", ".join([*(name for name, *_ in VARIABLES), CLUSTER])
    raise UsageError(f"--runner index is for numbered tasks, and none of {names} is set: use --runner local")


def _vertex_task(text: str) -> TaskIndex:
    """By Vertex AI's description of its cluster: pools are counted in the order of their names."""
    try:
        found = json.loads(text)
        pools = {name: len(machines) for name, machines in sorted(found["cluster"].items())}
        before = sum(count for name, count in pools.items() if name < found["task"]["type"])
        return TaskIndex(before + int(found["task"]["index"]), sum(pools.values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{CLUSTER} is not what Vertex AI writes there: {text[:80]!r}") from error


def _mirrored(index: int) -> int:
    """The bits of a number of 16 bits in reverse: consecutive numbers come to lie far apart (van der Corput, 1935)."""
    return int(f"{index % (1 << 16):016b}"[::-1], 2)


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name, "0")
    if not text.isdecimal():
        raise UsageError(f"{name} is {text!r}, which is no number of a task")
    return int(text)
