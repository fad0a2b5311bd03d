"""The review by event, as the database orders it: each photo once, camera by camera, whatever cameras are called."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from animal_classification.prediction_log import feedback
from animal_classification.prediction_log.event_queue import EventPart, to_review_by_event
from animal_classification.prediction_log.feedback import Feedback
from animal_classification.prediction_log.migrate import migrate
from animal_classification.prediction_log.record import PredictionRecord
from animal_classification.prediction_log.shadow_rows import ShadowRow, keep
from animal_classification.prediction_log.store import insert
from tests.support.log_records import record

# What PostgreSQL's usual collations order otherwise than bytes: case, accents, punctuation.
CAMERAS = ("", "A-1", "a1", "a 1", "B", "b", "ä", "gate_2", "gate-10")
TIMES = ("2021-04-11T20:43:09", "2021-04-11T20:43:10", "2022-01-01T00:00:00")


@pytest.fixture
def filmed(engine: Engine) -> list[PredictionRecord]:
    """Three photos of each camera, of which two have the same second, and one photo without a time."""
    migrate(engine)
    made = [
        record(photo=uuid4().hex * 2, source=camera, taken=taken)
        for taken in (TIMES[2], TIMES[0], TIMES[0])
        for camera in CAMERAS
    ]
    assert not insert(engine, [*made, record(photo="ef" * 32, source="B")])
    return made


def pages(engine: Engine, limit: int, shadows: Sequence[tuple[str, str]] = ()) -> list[EventPart]:
    found = [to_review_by_event(engine, limit=limit, shadows=shadows)]
    while found[-1].rows:
        after = found[-1].rows[-1]["id"]
        found.append(to_review_by_event(engine, limit=limit, after=after, shadows=shadows))
    return found


@pytest.mark.parametrize("limit", [1, 4, 100])
def test_each_photo_once_on_pages_of_any_size(engine: Engine, filmed: list[PredictionRecord], limit: int) -> None:
    found = pages(engine, limit)
    shown = [row for page in found for row in page.rows]
    assert sorted(row["id"] for row in shown) == sorted(row.id for row in filmed)
    assert {page.total for page in found} == {len(filmed) + 1}
    assert [row["id"] for row in shown] == [row["id"] for row in to_review_by_event(engine, limit=100).rows]
    for page, before in zip(found[1:], found, strict=False):
        assert page.before == {name: before.rows[-1][name] for name in ("source", "taken", "id")}


def test_camera_by_camera_in_time(engine: Engine, filmed: list[PredictionRecord]) -> None:
    shown = to_review_by_event(engine, limit=100).rows
    cameras = [row["source"] for row in shown]
    assert len([one for one, before in zip(cameras, ["-", *cameras], strict=False) if one != before]) == len(CAMERAS)
    for camera in CAMERAS:
        taken = [row["taken"] for row in shown if row["source"] == camera]
        assert taken == [TIMES[0], TIMES[0], TIMES[2]]


def test_what_was_spoken_of_sent_again_or_is_shown_blind_is_left_out(
    engine: Engine, filmed: list[PredictionRecord]
) -> None:
    said, twice, disputed, left = filmed[:4]
    assert feedback.add(engine, Feedback(prediction=said.id, verdict="confirmed", label="cat"))
    again = record(photo=twice.photo, source="b", taken=TIMES[1], time=twice.time + 10)
    assert not insert(engine, [again])
    beside = ShadowRow(
        prediction=disputed.id, model="tiny", version="2", label_id="dog-id", probability=0.6, unknown=False
    )
    assert not keep(engine, [beside])
    shown = {row["id"] for page in pages(engine, 5, (("tiny", "2"),)) for row in page.rows}
    assert shown == {again.id, *(row.id for row in filmed[3:])}
    part = to_review_by_event(engine, limit=100, leave_out=[left.photo])
    assert left.id not in {row["id"] for row in part.rows}
    assert disputed.id in {row["id"] for row in part.rows}, "without a shadow nothing is blind"
    assert part.total == len(filmed) - 1  # less one that was spoken of and one left out, and one without a time


def test_after_what_is_gone_or_has_no_time_there_is_nothing(engine: Engine, filmed: list[PredictionRecord]) -> None:
    no_time = record(photo="cd" * 32)
    assert not insert(engine, [no_time])
    for after in ("00000000-0000-4000-8000-000000000000", "\N{CJK UNIFIED IDEOGRAPH-72EE}", "a\x00b", no_time.id):
        assert to_review_by_event(engine, after=after) == EventPart([], None, len(filmed) + 2)
