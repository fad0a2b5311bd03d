"""What the loop knows of drift, and what stops a canary: read from a real log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
import yaml

from animal_classification.errors import AnimalsError
from animal_classification.loop import canary as canary_room
from animal_classification.loop import situation as room
from animal_classification.loop.canary import canary_trouble, share_lasted
from animal_classification.loop.config import LoopConfig, WatchConfig
from animal_classification.loop.cycle import Cycle
from animal_classification.loop.labels import SpokenOf
from animal_classification.loop.ledger import Ledger, Transition
from animal_classification.loop.rollback_triggers import ALERTS, audited_worse, condition_began, trouble_after
from animal_classification.loop.workplace import Workplace
from animal_classification.prediction_log.database import connect, writing
from animal_classification.prediction_log.drift_records import DriftRecord, add_record
from animal_classification.prediction_log.feedback import Feedback, add
from animal_classification.prediction_log.migrate import migrate
from animal_classification.prediction_log.photo_store import PhotoFolder
from animal_classification.prediction_log.store import insert
from tests.support.drift_verdicts import drift_record
from tests.support.log_records import record
from tests.support.ports import free_port

NOW = datetime.now(UTC)
ROOT = Path(__file__).resolve().parents[3]


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
    return drift_record(
        time,
        model="zoo",
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
    found = room.situation(work, [], SpokenOf(), room.harmful_drift(work))
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
    given = {"audit": 0.5, "audited": True, **given}
    rows = [
        record(model="zoo", version=version, photo=uuid4().hex * 2, unknown=number < unknown, **given)
        for number in range(count)
    ]
    assert not insert(work.engine, rows)
    for number, one in enumerate(rows[: wrong and count]):
        say(work, one.id, "dog" if number < wrong else None)


def say(work: Workplace, prediction: str, label: str | None = None) -> None:
    """It shows this, or what was answered."""
    word = Feedback(
        prediction=prediction,
        verdict="corrected" if label else "confirmed",
        label=label or "cat",
        label_id=f"{label}-id" if label else "cat-id",
    )
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
        ({"wrong": 60}, "the audit finds 60% of its answers wrong (100 looked at), and 5% of the other"),
    ],
)
def test_what_stops_a_canary(work: Workplace, given: dict[str, Any], says: str) -> None:
    answer(work, "1", 200, unknown=10, wrong=10)
    answer(work, "2", 100, canary=True, **given)
    assert says in str(canary_trouble(work, cycle(), NOW - timedelta(hours=1)))


def audited(work: Workplace, version: str, chance: float, right: int, wrong: int, **given: Any) -> None:
    """Answers that were chosen with a probability, with the others of which they were chosen, and words on each."""
    chosen = {"audit": chance, "audited": True, **given}
    others = round((right + wrong) * (1 / chance - 1))
    rows = [
        record(model="zoo", version=version, photo=uuid4().hex * 2, **(chosen | {"audited": number >= others}))
        for number in range(others + right + wrong)
    ]
    assert not insert(work.engine, rows)
    for number, one in enumerate(rows[others:]):
        say(work, one.id, "dog" if number < wrong else None)


def test_a_canary_is_not_stopped_because_more_of_its_doubtful_photos_were_chosen(work: Workplace) -> None:
    """One answer in five is wrong, of both; of the 600 photos of its audit 55%, because all doubtful ones are in it."""
    audited(work, "1", 0.25, right=320, wrong=80)
    audited(work, "2", 0.05, right=92, wrong=8, canary=True)
    audited(work, "2", 1.0, right=180, wrong=320, canary=True, probability=0.3)
    since = NOW - timedelta(hours=1)
    wrong, count = canary_room.audited_wrong(work, "2", since)
    assert wrong / count == pytest.approx((8 / 0.05 + 320) / (100 / 0.05 + 500))
    assert count < 200, "what stands for few says little of all"
    assert canary_trouble(work, cycle(), since) is None


def test_a_canary_is_right_where_people_say_what_it_said(work: Workplace) -> None:
    """By the picker of names, in place of yes."""
    answer(work, "1", 100, wrong=1)
    rows = [record(model="zoo", version="2", photo=uuid4().hex * 2, audit=0.5, audited=True) for _ in range(100)]
    assert not insert(work.engine, rows)
    for one in rows:
        say(work, one.id, "cat")
    assert canary_room.audited_wrong(work, "2")[0] == 0
    assert canary_trouble(work, cycle(), NOW - timedelta(hours=1)) is None


def test_words_on_photos_that_nobody_chose_say_nothing_of_the_accuracy(work: Workplace) -> None:
    """97% are right. People looked at the doubtful ones too, and most of those are wrong."""
    hours = {back: (NOW - timedelta(hours=back)).timestamp() for back in (1, 5)}
    audited(work, "1", 0.2, right=97, wrong=3, probability=0.97, time=hours[5])
    answer(work, "1", 200, wrong=180, audited=False, audit=0.2, probability=0.97, time=hours[5])
    high = room.situation(work, [], SpokenOf(), None).accuracy_high
    assert high is not None
    assert high > 0.95
    began = NOW - timedelta(hours=2)
    answer(work, "2", 100, wrong=90, audited=False, audit=0.2, time=hours[1])
    assert audited_worse(work, "2", "1", began) is None, "nobody has audited it"
    answer(work, "2", 100, wrong=50, time=hours[1])
    assert "the audit finds 5" in str(audited_worse(work, "2", "1", began))


def test_an_alertmanager_that_is_down_keeps_no_bad_model(work: Workplace) -> None:
    """What the log says takes it back; where the log says nothing, people learn that alerts cannot be read."""
    watch = WatchConfig(alerts=f"http://127.0.0.1:{free_port()}")
    watched = replace(work, config=work.config.model_copy(update={"watch": watch}))
    began = NOW - timedelta(hours=2)
    promoted = Transition(
        cycle="ZOO-0001", seq=0, time=began, state="promoted", by="x", decision={"version": 2, "before": 1}
    )
    answer(watched, "1", 200, time=(began - timedelta(hours=1)).timestamp())
    answer(watched, "2", 50)
    with pytest.raises(AnimalsError, match="cannot be read"):
        trouble_after(watched, Cycle((promoted,)), began)
    answer(watched, "2", 400, label="dog", label_id="dog-id")
    assert "'cat-id' has vanished from the answers" in str(trouble_after(watched, Cycle((promoted,)), began))


@pytest.mark.parametrize(
    ("annotations", "minutes"),
    [({"pending": "5m"}, 5), ({"pending": "90s"}, 1.5), ({"pending": "1h"}, 60), ({"pending": "soon"}, 0), ({}, 0)],
)
def test_an_alert_began_before_it_fired(annotations: dict[str, str], minutes: float) -> None:
    alert = {"startsAt": "2026-11-30T09:00:00.000Z", "annotations": annotations}
    assert condition_began(alert) == datetime(2026, 11, 30, 9, tzinfo=UTC) - timedelta(minutes=minutes)


def test_the_rules_say_how_long_a_condition_holds_before_they_fire() -> None:
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text(encoding="utf-8"))
    found = {rule["alert"]: rule for group in rules["groups"] for rule in group["rules"]}
    for name in ALERTS:
        assert found[name]["annotations"]["pending"] == found[name]["for"]
