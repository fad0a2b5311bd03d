"""Rows, each once; words, of which the last one stands; what is old goes."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, func, select

from animal_classification.errors import MissingExtraError, UsageError
from animal_classification.prediction_log import database, feedback
from animal_classification.prediction_log.database_errors import LogDatabaseError
from animal_classification.prediction_log.feedback import Feedback
from animal_classification.prediction_log.migrate import migrate
from animal_classification.prediction_log.store import delete_older, insert
from animal_classification.prediction_log.tables import embeddings, predictions
from animal_classification.prediction_log.tables import feedback as words
from tests.support.log_records import record


@pytest.fixture(autouse=True)
def made(engine: Engine) -> None:
    migrate(engine)


def count(engine: Engine, table: object) -> int:
    with engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())  # type: ignore[arg-type]


def test_a_row_is_kept_whole_and_once(engine: Engine) -> None:
    one = record(file="löwe.jpg", unknown=True, known=0.2)
    assert insert(engine, [one, record()]) == []
    assert insert(engine, [one, record(), one]) == []
    assert count(engine, predictions) == 3
    with engine.connect() as connection:
        row = connection.execute(select(predictions).where(predictions.c.id == one.id)).mappings().one()
    assert dict(row) == one.to_row()
    assert row["time"].tzinfo is UTC


def test_a_row_that_the_database_refuses_does_not_hold_up_the_others(engine: Engine) -> None:
    bad = record(label=None)
    (refused,) = insert(engine, [record(), bad, record()])
    assert refused.record is bad
    assert "label" in refused.reason
    assert count(engine, predictions) == 2


def test_what_is_old_goes_with_what_was_said_of_it(engine: Engine) -> None:
    old, young = record(time=time.time() - 10 * 86400), record()
    insert(engine, [old, young])
    for item in (old, young):
        assert feedback.add(engine, Feedback(prediction=item.id, verdict="confirmed"))
    assert delete_older(engine, 9, keep_corrections=False) == 1
    assert delete_older(engine, 9, keep_corrections=False) == 0
    assert (count(engine, predictions), count(engine, words)) == (1, 1)


def test_what_people_said_is_kept_until_they_take_it_back(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("animal_classification.prediction_log.store.DELETED_AT_ONCE", 3)
    old = [record(time=time.time() - (20 - number) * 86400, photo=f"{number:064x}") for number in range(10)]
    insert(engine, old)
    verdicts: dict[int, feedback.Verdict] = {1: "corrected", 4: "confirmed", 5: "none", 7: "corrected"}
    said = {
        number: feedback.add(engine, Feedback(prediction=old[number].id, verdict=verdict))
        for number, verdict in verdicts.items()
    }
    seven = said[7]
    assert seven is not None
    feedback.undo(engine, seven["number"])
    assert delete_older(engine, 9) == 7
    assert delete_older(engine, 9) == 0
    kept = {old[number].id for number in (1, 4, 5)}
    for table, column in ((predictions, "id"), (embeddings, "prediction"), (words, "prediction")):
        with engine.connect() as connection:
            assert set(connection.execute(select(table.c[column])).scalars()) == kept, table.name
    photos = [item.photo for item in old]
    assert feedback.reviewed_photos(engine, photos[:5]) == {photos[1], photos[4]}
    one = said[1]
    assert one is not None
    feedback.undo(engine, one["number"])
    assert delete_older(engine, 9) == 1
    assert feedback.reviewed_photos(engine, photos) == {photos[4], photos[5]}


def said(engine: Engine, identity: str) -> tuple[str, str | None] | None:
    found = feedback.prediction(engine, identity)
    assert found is not None
    return found["feedback"] and (found["feedback"]["verdict"], found["feedback"]["label"])


def test_the_last_word_that_is_not_taken_back_stands(engine: Engine) -> None:
    item = record()
    insert(engine, [item])
    assert said(engine, item.id) is None
    first = feedback.add(engine, Feedback(prediction=item.id, verdict="confirmed"))
    second = feedback.add(
        engine, Feedback(prediction=item.id, verdict="corrected", label="dog", label_id="dog-id", who="Ada")
    )
    assert first is not None
    assert second is not None
    assert said(engine, item.id) == ("corrected", "dog")
    for _ in range(2):
        undone = feedback.undo(engine, second["number"])
        assert undone is not None
        assert undone["undone"] <= datetime.now(UTC)
    assert said(engine, item.id) == ("confirmed", None)
    feedback.undo(engine, first["number"])
    assert said(engine, item.id) is None
    assert count(engine, words) == 2, "nothing that was said is forgotten"


def test_words_on_nothing(engine: Engine) -> None:
    assert feedback.add(engine, Feedback(prediction="lions", verdict="none")) is None
    assert feedback.undo(engine, 7) is None
    assert feedback.prediction(engine, "lions") is None
    assert count(engine, words) == 0


def test_pages_of_the_review(engine: Engine) -> None:
    items = [record(probability=share / 100, photo=f"{share:064x}") for share in range(40, 90)]
    strangers = [record(unknown=True, known=known / 10, photo=f"{known:064x}") for known in range(5)]
    insert(engine, [*items, *strangers])
    by_doubt = [item.id for item in sorted([*items, *strangers], key=lambda item: (item.doubt, item.id), reverse=True)]
    found: list[str] = []
    after = None
    while page := feedback.to_review(engine, limit=7, after=after)[0]:
        found += [row["id"] for row in page]
        after = found[-1]
    assert found == by_doubt
    assert feedback.to_review(engine)[1] == 55

    for identity in by_doubt[:9]:
        feedback.add(engine, Feedback(prediction=identity, verdict="confirmed"))
    assert [row["id"] for row in feedback.to_review(engine, limit=3)[0]] == by_doubt[9:12]
    assert feedback.to_review(engine)[1] == 46
    done, total = feedback.to_review(engine, done=True, limit=5)
    assert total == 9
    assert [row["id"] for row in done] == by_doubt[8:3:-1]
    rest, _ = feedback.to_review(engine, done=True, limit=5, after=done[-1]["id"])
    assert [row["id"] for row in rest] == by_doubt[3::-1]


def test_a_photo_is_asked_about_once(engine: Engine) -> None:
    """By its last answer; not when somebody has said something of it, nor when nobody needs to look."""
    now = time.time()
    first, again, other, sample = (
        record(time=now + number, photo=photo * 32) for number, photo in enumerate(("aa", "aa", "bb", "cc"))
    )
    insert(engine, [first, again, other, sample])

    def asked() -> set[str]:
        rows, total = feedback.to_review(engine, leave_out={sample.photo, "dd" * 32})
        assert total == len(rows)
        return {row["id"] for row in rows}

    assert asked() == {again.id, other.id}
    word = feedback.add(engine, Feedback(prediction=first.id, verdict="none", label="no animal"))
    assert asked() == {other.id}
    feedback.add(engine, Feedback(prediction=sample.id, verdict="confirmed", label="cat"))
    assert asked() == {other.id}, "what is left out is not counted twice"
    insert(engine, [record(time=now + 9, photo=first.photo)])
    assert asked() == {other.id}
    assert word
    feedback.undo(engine, word["number"])
    assert len(asked()) == 2
    assert len(feedback.all_feedback(engine)) == 1


def test_names_that_people_gave(engine: Engine) -> None:
    item = record()
    insert(engine, [item])
    for label, identity in (("okapi", None), ("Aye-aye", None), ("okapi", None), ("dog", "dog-id")):
        feedback.add(engine, Feedback(prediction=item.id, verdict="corrected", label=label, label_id=identity))
    feedback.add(engine, Feedback(prediction=item.id, verdict="confirmed", label="feline"))
    slip = feedback.add(engine, Feedback(prediction=item.id, verdict="corrected", label="okpai"))
    assert slip
    feedback.undo(engine, slip["number"])
    assert feedback.new_label_names(engine) == ["Aye-aye", "okapi"]


@pytest.mark.parametrize("url", ["mysql://zoo", "lions", "", "http://zoo.example/db", "sqlite"])
def test_what_is_no_database_is_told_of(url: str) -> None:
    with pytest.raises(UsageError, match="must begin with sqlite:/// or postgresql://"):
        database.check_url(url)


def test_postgresql_needs_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match="postgres"):
        database.check_url("postgresql://zoo/log")


def test_a_database_that_cannot_be_reached_is_one_line_without_its_password() -> None:
    engine = database.connect("postgresql://keeper:geheim@127.0.0.1:1/zoo")
    with pytest.raises(LogDatabaseError, match="cannot be used") as caught:
        insert(engine, [record()])
    assert "geheim" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_photos_of_the_audit_wait_for_a_look(engine: Engine) -> None:
    migrate(engine)
    now = time.time()
    old, new = (
        record(photo=letter * 64, time=now - days * 86400, audit=1.0, audited=True)
        for letter, days in (("a", 40), ("b", 10))
    )
    insert(engine, [old, new, record(photo="c" * 64, audit=0.1, audited=False)])
    photos = [letter * 64 for letter in "abc"]
    assert feedback.wanted_photos(engine, photos, 30) == {new.photo}
    feedback.add(engine, Feedback(prediction=old.id, verdict="confirmed"))
    assert feedback.wanted_photos(engine, photos, 30) == {old.photo, new.photo}
