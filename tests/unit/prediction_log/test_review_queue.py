"""The one queue of the review: which photos come first, which are blind, and that each comes once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from animal_classification.prediction_log import feedback
from animal_classification.prediction_log.feedback import Feedback
from animal_classification.prediction_log.label_requests import ask_for, asked_for, open_photos
from animal_classification.prediction_log.migrate import migrate
from animal_classification.prediction_log.record import PredictionRecord
from animal_classification.prediction_log.review_queue import ALL, ReviewOrder
from animal_classification.prediction_log.shadow_rows import ShadowRow, keep
from animal_classification.prediction_log.store import delete_photos, insert
from tests.support.log_records import record

EVERYTHING = ReviewOrder(ALL, (), (("tiny", "2"),))


def photos(engine: Engine, count: int, **given: object) -> list[PredictionRecord]:
    rows = [record(photo=uuid4().hex * 2, probability=0.5 + 0.4 * number / count, **given) for number in range(count)]
    assert not insert(engine, rows)
    return rows


def shadow(engine: Engine, rows: list[PredictionRecord], label: str, version: str = "2") -> None:
    said = [
        ShadowRow(prediction=row.id, model="tiny", version=version, label_id=label, probability=0.6, unknown=False)
        for row in rows
    ]
    assert not keep(engine, said)


@pytest.fixture
def rows(engine: Engine) -> dict[str, list[PredictionRecord]]:
    """Five photos of each class; some could be in two, and belong to the first."""
    migrate(engine)
    found = {
        "disagree": photos(engine, 5, audit=0.5, audited=True),
        "asked": photos(engine, 5, audit=0.5, audited=True),
        "audit": photos(engine, 5, audit=0.5, audited=True),
        "doubt": photos(engine, 5),
    }
    shadow(engine, found["disagree"], "dog-id")
    shadow(engine, found["asked"], "cat-id")  # it says the same
    shadow(engine, found["doubt"], "dog-id", version="1")  # a candidate of before
    asked = [row.photo for row in (*found["asked"], *found["disagree"][:2])]
    ask_for(engine, "tiny", dict.fromkeys(asked, "drift"))
    return found


def test_each_photo_comes_once_class_by_class(engine: Engine, rows: dict[str, list[PredictionRecord]]) -> None:
    seen: list[tuple[str, str]] = []
    after = None
    while True:
        page = feedback.review_page(engine, order=EVERYTHING, limit=3, after=after)
        assert (page.total, page.counts) == (20, dict.fromkeys(ALL, 5))
        if not page.rows:
            break
        seen += [(row["why"], row["id"]) for row in page.rows]
        after = page.rows[-1]["id"]
    assert [why for why, _ in seen] == [why for why in ALL for _ in range(5)]
    for why in ALL:
        assert {found for name, found in seen if name == why} == {row.id for row in rows[why]}
    doubtful = [found for name, found in seen if name == "doubt"]
    assert doubtful == [row.id for row in rows["doubt"]]  # the least probable first


def test_one_class_alone(engine: Engine, rows: dict[str, list[PredictionRecord]]) -> None:
    for why in ALL:
        page = feedback.review_page(engine, order=ReviewOrder(ALL, (why,), (("tiny", "2"),)))
        assert page.total == 5
        assert {row["id"] for row in page.rows} == {row.id for row in rows[why]}
    for row in feedback.review_page(engine, order=EVERYTHING, limit=5).rows:
        assert sorted(row["choices"]) == ["cat-id", "dog-id"]


def test_without_a_shadow_nothing_is_blind(engine: Engine, rows: dict[str, list[PredictionRecord]]) -> None:
    page = feedback.review_page(engine, order=ReviewOrder(ALL), limit=100)
    assert page.counts == {"disagree": 0, "asked": 7, "audit": 8, "doubt": 5}
    assert not any("choices" in row for row in page.rows)


def test_a_word_takes_a_photo_out_and_undoing_it_brings_it_back(
    engine: Engine, rows: dict[str, list[PredictionRecord]]
) -> None:
    chosen = rows["asked"][0]
    said = feedback.add(engine, Feedback(prediction=chosen.id, verdict="confirmed", label="cat"))
    assert said is not None
    assert feedback.review_page(engine, order=EVERYTHING).counts["asked"] == 4
    assert asked_for(engine, "tiny") == (7, 6)
    feedback.undo(engine, said["number"])
    assert feedback.review_page(engine, order=EVERYTHING).counts["asked"] == 5
    assert asked_for(engine, "tiny") == (7, 7)


def test_what_is_asked_for_is_kept_until_it_must_be_forgotten(
    engine: Engine, rows: dict[str, list[PredictionRecord]]
) -> None:
    asked, other = rows["asked"][0].photo, rows["doubt"][0].photo
    assert feedback.wanted_photos(engine, [asked, other], 0) == {asked}
    delete_photos(engine, [asked])
    assert asked_for(engine, "tiny") == (6, 6)
    ask_for(engine, "tiny", {})
    assert asked_for(engine, "tiny") == (0, 0)


def test_photos_that_can_be_asked_for(engine: Engine) -> None:
    migrate(engine)
    twice = record(photo="cd" * 32, source="gate", audit=0.2, audited=True, known=0.5)
    again = record(photo="cd" * 32, source="river", known=0.3)
    other = record(photo="ef" * 32, version="2")
    said = record(photo="ab" * 32)
    assert not insert(engine, [twice, again, other, said])
    assert feedback.add(engine, Feedback(prediction=said.id, verdict="confirmed", label="cat"))
    (found,) = open_photos(engine, "tiny", "1", datetime.now(UTC) - timedelta(hours=1))
    assert (found.photo, found.known, found.audited, found.scene) == ("cd" * 32, 0.3, True, True)
    assert found.sources == {"gate", "river"}
