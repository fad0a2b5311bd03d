"""The loop asks for labels: which photos, how many, for how long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from animal_classification.loop.config import load_config
from animal_classification.loop.label_requests import CHANCE, DRIFT, choose
from animal_classification.loop.runner import run_loop
from animal_classification.loop.situation import HarmfulDrift
from animal_classification.loop.workplace import open_workplace
from animal_classification.prediction_log import feedback
from animal_classification.prediction_log.database import writing
from animal_classification.prediction_log.drift_records import DriftRecord, add_record
from animal_classification.prediction_log.label_requests import OpenPhoto, asked_for
from animal_classification.prediction_log.photo_store import PhotoFolder
from animal_classification.prediction_log.review_queue import ALL, ReviewOrder
from animal_classification.prediction_log.store import insert
from tests.support.drift_verdicts import drift_record
from tests.support.log_records import record
from tests.support.loop_place import configure, place, say

NOW = datetime.now(UTC)


def drift(kind: str = "image", source: str = "") -> HarmfulDrift:
    return HarmfulDrift(days=2, kind=kind, says="it is dark", source=source, since=NOW - timedelta(days=2))


def photos(count: int, *, source: str = "gate", known: float = 0.9, scene: bool = True) -> list[OpenPhoto]:
    return [
        OpenPhoto(
            photo=uuid4().hex * 2,
            known=known,
            audited=number % 4 == 0,
            scene=scene,
            sources=frozenset({source}),
        )
        for number in range(count)
    ]


def test_half_where_the_drift_is_and_half_by_chance() -> None:
    night, day = photos(400, source="night"), photos(400, source="day")
    chosen = choose([*day, *night], drift(source="night"), 100)
    assert len(chosen) == 100
    asked = [photo for photo, part in chosen.items() if part == DRIFT]
    assert len(asked) == 50
    assert set(asked) <= {one.photo for one in night}
    by_chance = [one for one in (*day, *night) if chosen.get(one.photo) == CHANCE]
    assert {one.sources for one in by_chance} == {frozenset({"day"}), frozenset({"night"})}
    assert sum(one.audited for one in by_chance) == len(by_chance), "those that were chosen by chance already"


def test_of_new_animals_those_that_the_model_knows_least() -> None:
    strangers, known = photos(60, known=0.1), photos(200)
    chosen = choose([*known, *strangers], drift("content"), 100)
    asked = {photo for photo, part in chosen.items() if part == DRIFT}
    assert len(asked) == 50
    assert asked <= {one.photo for one in strangers}


def test_frames_of_bursts_are_left_out_and_few_photos_are_all_asked_for() -> None:
    scenes, frames = photos(30), photos(300, scene=False)
    assert set(choose([*scenes, *frames], drift(), 100)) == {one.photo for one in scenes}
    assert len(choose(frames, drift(), 100)) == 100  # servers without an audit do not tell them
    assert len(choose(photos(80, source="a"), drift(source="b"), 100)) == 80


def verdict(days_ago: float) -> DriftRecord:
    time = NOW - timedelta(days=days_ago)
    return drift_record(time, since=time - timedelta(hours=1))


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``loop.yaml`` of a loop with a model in production, and no labels yet."""
    root = tmp_path_factory.mktemp("place")
    place(root)
    return configure(root, start={"labels": 12, "enough": 12, "every_days": 0, "ask": 10}, shadow={"on": True})


def test_the_loop_asks_on_the_review_page_until_a_cycle_begins(asking: Path) -> None:
    with open_workplace(load_config(asking)) as work:
        rows = [record(photo=f"{number:064x}") for number in range(30)]
        assert not insert(work.engine, rows)
        store = PhotoFolder(asking.parent / "log" / "photos")
        for row in rows[:20]:  # of the others no photo is kept
            store.put(row.photo, b"photo")
        with writing(work.engine) as connection:
            for days in (0, 1):
                add_record(connection, verdict(days))
        for _ in range(2):  # once more changes nothing
            done = run_loop(work)
            assert done.exit_code == 3
            assert done.wait is not None
            assert "10 photos wait on the review page" in done.wait.why
            assert asked_for(work.engine, "tiny") == (10, 10)
        page = feedback.review_page(work.engine, order=ReviewOrder(ALL, ("asked",)))
        assert page.total == 10
        assert {row["photo"] for row in page.rows} <= {row.photo for row in rows[:20]}
        say(asking.parent, 12)
        done = run_loop(work, until="collect")
        assert [row.state for row in done.moves] == ["collected"]
        assert asked_for(work.engine, "tiny") == (0, 0)
