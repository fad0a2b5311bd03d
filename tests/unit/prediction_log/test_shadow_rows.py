"""Where two models differ: what the review shows of it, and what that takes."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from animal_classification.prediction_log import feedback
from animal_classification.prediction_log.database import connect
from animal_classification.prediction_log.feedback import Feedback
from animal_classification.prediction_log.migrate import migrate
from animal_classification.prediction_log.shadow_rows import ShadowRow, disagreements, keep, to_decide
from animal_classification.prediction_log.store import insert
from tests.support.log_records import record


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = connect(f"sqlite:///{tmp_path / 'log.db'}")
    migrate(engine)
    yield engine
    engine.dispose()


def answered(engine: Engine, photos: list[str], *, says: str = "dog-id", version: str = "2") -> list[str]:
    """Ids of answers, one second apart, with what a candidate says of each."""
    now = time.time() - 10_000
    made = [record(photo=photo, time=now + number) for number, photo in enumerate(photos)]
    for begin in range(0, len(made), 500):
        some = made[begin : begin + 500]
        insert(engine, some)
        keep(
            engine,
            [
                ShadowRow(
                    prediction=one.id, model="tiny", version=version, label_id=says, probability=0.5, unknown=False
                )
                for one in some
            ],
        )
    return [one.id for one in made]


def photo(number: int) -> str:
    return f"{number:064x}"


def test_each_photo_once_the_newest_first_and_none_that_was_spoken_of(engine: Engine) -> None:
    ids = answered(engine, [photo(number) for number in (1, 2, 1, 3, 4, 3)])
    answered(engine, [photo(9)], says="cat-id")
    rows, total = to_decide(engine, "tiny", limit=20)
    assert ([row["id"] for row in rows], total) == ([ids[5], ids[4], ids[2], ids[1]], 4)
    assert {frozenset(row["choices"]) for row in rows} == {frozenset({"cat-id", "dog-id"})}
    assert [one.prediction for one in disagreements(engine, "tiny")] == [row["id"] for row in rows]
    said = feedback.add(engine, Feedback(prediction=ids[3], verdict="corrected", label="cat", label_id="cat-id"))
    rows, total = to_decide(engine, "tiny", limit=2)
    assert ([row["id"] for row in rows], total) == ([ids[4], ids[2]], 3)
    assert said is not None
    feedback.undo(engine, said["number"])
    assert to_decide(engine, "tiny", limit=1)[1] == 4
    assert to_decide(engine, "zoo") == ([], 0)


def test_a_page_takes_no_more_memory_for_many(engine: Engine) -> None:
    """Yesterday all disagreements there were came into memory for each page of the review."""
    answered(engine, [photo(number) for number in range(1500)])
    to_decide(engine, "tiny", limit=1)
    tracemalloc.start()
    rows, total = to_decide(engine, "tiny", limit=5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (len(rows), total) == (5, 1500)
    assert peak < 700_000
