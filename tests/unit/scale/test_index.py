"""Which of the numbered tasks of a platform this is."""

from __future__ import annotations

from itertools import pairwise

import pytest

from animal_classification.errors import UsageError
from animal_classification.scale.runners.index import task_index


@pytest.mark.parametrize(
    ("environment", "start"),
    [
        ({"CLOUD_RUN_TASK_INDEX": "3", "CLOUD_RUN_TASK_COUNT": "4"}, 0.75),
        ({"JOB_COMPLETION_INDEX": "1", "ANIMALS_TASK_COUNT": "2"}, 0.5),
        ({"SLURM_ARRAY_TASK_ID": "11", "SLURM_ARRAY_TASK_COUNT": "10", "SLURM_ARRAY_TASK_MIN": "1"}, None),
        ({"SLURM_ARRAY_TASK_ID": "6", "SLURM_ARRAY_TASK_COUNT": "10", "SLURM_ARRAY_TASK_MIN": "1"}, 0.5),
        ({"AWS_BATCH_JOB_ARRAY_INDEX": "0", "ANIMALS_TASK_COUNT": "9"}, 0.0),
        ({"ANIMALS_TASK_INDEX": "x", "ANIMALS_TASK_COUNT": "9"}, None),
        (
            {
                "CLUSTER_SPEC": '{"cluster": {"workerpool0": ["a:1"], "workerpool1": ["b:1", "c:1", "d:1"]},'
                ' "task": {"type": "workerpool1", "index": 1}}'
            },
            0.5,
        ),
        ({"CLUSTER_SPEC": "[]"}, None),
        ({"PATH": "/bin"}, None),
    ],
)
def test_each_platform_says_it_in_its_way(environment: dict[str, str], start: float | None) -> None:
    if start is None:
        with pytest.raises(UsageError):
            task_index(environment)
    else:
        assert task_index(environment).start == start


def test_without_a_count_the_tasks_still_begin_apart() -> None:
    starts = sorted(task_index({"JOB_COMPLETION_INDEX": str(index)}).start for index in range(16))
    assert min(second - first for first, second in pairwise(starts)) == 1 / 16
