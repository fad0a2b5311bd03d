"""What the loop knows of drift, and what stops a canary: read from a real log."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from animal_classification.loop import situation as room
from animal_classification.loop.canary import canary_trouble, share_lasted
from animal_classification.loop.config import LoopConfig
from animal_classification.loop.cycle import Cycle
from animal_classification.loop.labels import SpokenOf
from animal_classification.loop.ledger import Ledger, Transition
from animal_classification.loop.workplace import Workplace
from animal_classification.prediction_log.database import connect, writing
from animal_classification.prediction_log.drift_records import DriftRecord, add_record
from animal_classification.prediction_log.feedback import Feedback, add
from animal_classification.prediction_log.migrate import migrate
from animal_classification.prediction_log.photo_store import PhotoFolder
from animal_classification.prediction_log.store import insert
from tests.support.log_records import record

NOW = datetime.now(UTC)


class Placed(Workplace):
    """Without a registry: version 1 is in production."""

    def production(self) -> Any:
        return SimpleNamespace(version=1)


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Workplace]:
    engine = connect(f"sqlite:///{tmp_path / 'log.db'}")
    migrate(engine)
    config = LoopConfig(model="zoo", data=str(tmp_path / "photos"), folder=str(tmp_path / "loop"))
    ledger = Ledger(config.home, engine, "zoo")
    yield Placed(config=config, engine=engine, photos=PhotoFolder(tmp_path / "kept"), ledger=ledger)
    engine.dispose()


def verdict(days_ago: float, kind: str = "image", *, confirmed: bool = True, value: float = 0.6) -> DriftRecord:
    time = NOW - timedelta(days=days_ago)
    return DriftRecord(
        id=str(uuid4()),
        time=time,
        since=time,
        until=time,
        model="zoo",
        version="1",
        source="",
        reference="ab" * 32,
        read=200,
        used=200,
        p={},
        effects={},
        kind=kind,
        confirmed=confirmed,
        harm={"low": 0.1, "high": 0.2},
        score={"value": value},
        explain=f"{kind} {days_ago:g} days ago",
    )


@pytest.mark.parametrize(
    ("verdicts", "days"),
    [
        ([], 0),
        ([verdict(0)], 1),
        ([verdict(0), verdict(1)], 2),
        ([verdict(1), verdict(2), verdict(3)], 3),
        ([verdict(0), verdict(2)], 1),
        ([verdict(2), verdict(3)], 0),  # it is over
        ([verdict(0, "mix"), verdict(1, "mix")], 0),  # labels do not help against another mix of animals
        ([verdict(0, confirmed=False), verdict(1, value=0.2)], 0),  # unconfirmed, harmless
    ],
)
def test_days_of_harmful_drift(work: Workplace, verdicts: list[DriftRecord], days: int) -> None:
    with writing(work.engine) as connection:
        for one in verdicts:
            add_record(connection, one)
    found = room.situation(work, [], SpokenOf())
    assert found.drift_days == days
    assert found.accuracy_high is None  # nobody has audited anything
    assert bool(found.drift_says) == bool(days)


def cycle() -> Cycle:
    def row(seq: int, state: str, **decision: Any) -> Transition:
        return Transition(
            cycle="ZOO-0001", seq=seq, time=NOW, state=state, by="x", registry_version="2", decision=decision
        )

    return Cycle((row(0, "gated", production=1), row(1, "canary", version=2, share=0.1, done=False)))


def answer(work: Workplace, version: str, count: int, *, unknown: int = 0, wrong: int = 0, **given: Any) -> None:
    rows = [
        record(model="zoo", version=version, photo=uuid4().hex * 2, unknown=number < unknown, audited=True, **given)
        for number in range(count)
    ]
    assert not insert(work.engine, rows)
    for number, one in enumerate(rows[: wrong and count]):
        word = Feedback(prediction=one.id, verdict="corrected" if number < wrong else "confirmed", label="dog")
        assert add(work.engine, word) is not None


def test_a_canary_that_does_as_well_goes_on(work: Workplace) -> None:
    since = NOW - timedelta(hours=1)
    answer(work, "1", 400, unknown=20)
    answer(work, "2", 100, unknown=6)
    assert canary_trouble(work, cycle(), since) is None
    assert share_lasted(work, "2", since) == "100 answers of 500"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"latency": 0.2}, "of its answers take up to 200 ms"),
        ({"unknown": 60}, "it calls 60 of 100 photos unknown"),
        ({"wrong": 60}, "of its audited answers wrong"),
    ],
)
def test_what_stops_a_canary(work: Workplace, given: dict[str, Any], says: str) -> None:
    answer(work, "1", 200, unknown=10, wrong=10)
    answer(work, "2", 100, **given)
    assert says in str(canary_trouble(work, cycle(), NOW - timedelta(hours=1)))
