"""The simulation of many machines: right where arithmetic knows the answer, and judged by what it was not given."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.scale.report import efficiencies
from benchmarks.scale.sim import HERE, Assumptions, check, packed, simulate

ALONE = Assumptions(cpu_ms=10, start_seconds=1, shard_seconds=0, **HERE)  # type: ignore[arg-type]
MANY = Assumptions(cpu_ms=14, start_seconds=1, shard_seconds=0.5)


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_without_limits_it_is_arithmetic(workers: int) -> None:
    told = simulate(16_000, 500, workers, ALONE)
    assert told.seconds == pytest.approx(1 + 16_000 * 0.010 / workers, rel=0.02)
    assert told.cpu == pytest.approx(160 + workers, rel=0.01)


def test_the_last_shard_is_smaller_and_nobody_helps_with_it() -> None:
    assert simulate(1_100, 1_000, 2, ALONE).seconds == pytest.approx(11, rel=0.02)
    assert simulate(1_000, 1_000, 8, ALONE).seconds == pytest.approx(11, rel=0.02)


def test_a_bucket_that_gives_so_many_reads_decides() -> None:
    """A store that never takes more than 1,000 reads a second brings a million photos in a thousand seconds."""
    given = replace(MANY, reads_per_second=1_000, doubles_seconds=0, taken_per_hour=0, spread=0)
    assert simulate(1_000_000, 2_000, 500, given).seconds == pytest.approx(1_000 + 31, rel=0.03)
    assert simulate(1_000_000, 2_000, 500, packed(given)).seconds < 100


def test_lost_machines_cost_time_and_no_photo() -> None:
    calm, shaken = (simulate(200_000, 500, 50, replace(MANY, taken_per_hour=share)) for share in (0.0, 20.0))
    assert shaken.seconds > calm.seconds
    assert shaken.cpu > calm.cpu


def turn(workers: int, cpu: float) -> dict[str, float | str]:
    return {"runner": "local", "workers": workers, "photos": 1000, "shards": 20, "cpu": cpu, "start_cpu": 1.0 * workers}


def test_it_is_judged_by_turns_that_it_was_not_given() -> None:
    steady = [turn(1, 11.0), turn(2, 12.0), turn(1, 11.0), turn(2, 12.0)]
    assert all(abs(one["simulated"] / one["measured"] - 1) < 0.02 for one in check(steady))
    drifting = [*steady[:2], turn(1, 22.0), turn(2, 24.0)]
    assert all(abs(one["simulated"] / one["measured"] - 1) > 0.3 for one in check(drifting))


def test_efficiency_compares_workers_of_the_same_turn() -> None:
    turns = [turn(1, 11.0), turn(2, 12.5), turn(1, 21.0), turn(2, 23.0)]
    assert efficiencies(turns)["local", 2] == pytest.approx((10 / 10.5 + 20 / 21) / 2)
