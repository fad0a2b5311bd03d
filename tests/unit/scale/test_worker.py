"""A worker goes on after a shard that fails, and ends where a store is down."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from animal_classification.errors import AnimalsError
from animal_classification.scale.lease import Claim, Leases
from animal_classification.scale.retry import StoreFaultError
from animal_classification.scale.storage import LocalFolder
from animal_classification.scale.worker import FAULTS_IN_A_ROW, BatchWorker


class Job:
    """Does what a list says, shard by shard."""

    def __init__(self, folder: LocalFolder, outcomes: list[AnimalsError | None]) -> None:
        self.folder = folder
        self.plan = SimpleNamespace(shards=len(outcomes))
        self.listener = SimpleNamespace(is_stopped=lambda: False)
        self.outcomes = outcomes
        self.done: list[int] = []

    def do(self, claim: Claim) -> int:
        self.done.append(claim.shard)
        if (error := self.outcomes[claim.shard]) is not None:
            claim.give_back()
            raise error
        self.folder.put_new(f"out/{claim.shard:05d}.parquet", b"rows")
        claim.done()
        return 1


def work(tmp_path: Path, outcomes: list[AnimalsError | None]) -> tuple[Job, Any]:
    folder = LocalFolder(str(tmp_path))
    job = Job(folder, outcomes)
    return job, BatchWorker(job, Leases(folder, "me"), 0.0).run()  # type: ignore[arg-type]


FAULT = StoreFaultError("cannot read gs://zoo/1.jpg: no answer in 6 tries")


def test_a_store_that_is_down_ends_the_worker_after_a_few_shards(tmp_path: Path) -> None:
    job, result = work(tmp_path, [FAULT] * 50)
    assert (len(job.done), len(result.failed)) == (FAULTS_IN_A_ROW, FAULTS_IN_A_ROW)


@pytest.mark.parametrize("between", [None, AnimalsError("its rows cannot be written")])
def test_faults_here_and_there_do_not(tmp_path: Path, between: AnimalsError | None) -> None:
    outcomes = [FAULT, FAULT, between] * 5
    job, result = work(tmp_path, outcomes)
    assert sorted(job.done) == list(range(15))
    assert len(result.failed) == sum(outcome is not None for outcome in outcomes)
