"""Where two models differ: what the review shows of it, and what that takes."""

from __future__ import annotations

import time
import tracemalloc

from sqlalchemy import Engine

from animal_classification.prediction_log import feedback
from animal_classification.prediction_log.feedback import Feedback
from animal_classification.prediction_log.migrate import migrate
from animal_classification.prediction_log.review_queue import ALL, ReviewOrder, ReviewPage
from animal_classification.prediction_log.shadow_rows import ShadowRow, disagreements, keep
from animal_classification.prediction_log.store import insert
from tests.support.log_records import record


def answered(engine: Engine, photos: list[str], *, says: str = "dog-id", version: str = "2") -> list[str]:
    """Ids of answers, one second apart, with what a candidate says of each."""
    migrate(engine)
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


def disputed(engine: Engine, limit: int = 20) -> ReviewPage:
    order = ReviewOrder(ALL, ("disagree",), (("tiny", "2"),))
    return feedback.review_page(engine, order=order, limit=limit, after=None, leave_out=())


def test_each_photo_once_and_none_that_was_spoken_of(engine: Engine) -> None:
    ids = answered(engine, [photo(number) for number in (1, 2, 1, 3, 4, 3)])
    answered(engine, [photo(9)], says="cat-id")
    page = disputed(engine)
    assert {row["id"] for row in page.rows} == {ids[5], ids[4], ids[2], ids[1]}
    assert page.total == 4
    assert {frozenset(row["choices"]) for row in page.rows} == {frozenset({"cat-id", "dog-id"})}
    assert [one.prediction for one in disagreements(engine, "tiny")] == [ids[5], ids[4], ids[2], ids[1]]
    said = feedback.add(engine, Feedback(prediction=ids[3], verdict="corrected", label="cat", label_id="cat-id"))
    page = disputed(engine, limit=2)
    assert len(page.rows) == 2
    assert ids[5] not in {row["id"] for row in page.rows}
    assert page.total == 3
    assert said is not None
    feedback.undo(engine, said["number"])
    assert disputed(engine, limit=1).total == 4


def test_a_page_takes_no_more_memory_for_many(engine: Engine) -> None:
    """Once all disagreements there were came into memory for each page of the review."""
    answered(engine, [photo(number) for number in range(1500)])
    disputed(engine, limit=1)
    tracemalloc.start()
    page = disputed(engine, limit=5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (len(page.rows), page.total) == (5, 1500)
    assert peak < 700_000
