"""Sums that are those of the predictions that are there, whatever happened to them."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from animal_classification.prediction_log import feedback, sum_updates
from animal_classification.prediction_log.database import connect, writing
from animal_classification.prediction_log.feedback import Feedback
from animal_classification.prediction_log.migrate import migrate
from animal_classification.prediction_log.period_sums import from_bytes
from animal_classification.prediction_log.periods import DAY, HOUR, KEPT, MINUTE, TEN_MINUTES
from animal_classification.prediction_log.store import delete_older, delete_photos, forget_fine_sums, insert
from animal_classification.prediction_log.tables import predictions
from animal_classification.prediction_log.tables import sums as table
from tests.support.log_records import record, some

NOW = time.time()


@pytest.fixture(autouse=True)
def made(engine: Engine) -> None:
    migrate(engine)


def kept(engine: Engine) -> dict[tuple[int, int], dict[str, Any]]:
    with engine.connect() as connection:
        rows = connection.execute(select(table)).mappings()
        return {(row["seconds"], row["start"]): dict(row) for row in rows}


def assert_those_of_what_is_there(engine: Engine) -> None:
    """What the sums say is what anybody finds who reads every prediction."""
    forget_fine_sums(engine)
    found = kept(engine)
    with writing(engine) as connection:
        sum_updates.rebuild(connection)
    anew = kept(engine)
    assert found.keys() == anew.keys()
    for period, row in found.items():
        for name in ("probability", "latency"):
            assert row.pop(name) == pytest.approx(anew[period].pop(name), rel=1e-9, abs=1e-6)
        # When a model was first used may be the moment before which nothing was left.
        models, models_anew = row.pop("models"), anew[period].pop("models")
        assert [(*model[:3], model[4]) for model in models] == [(*model[:3], model[4]) for model in models_anew]
        assert all(model[3] <= other[3] for model, other in zip(models, models_anew, strict=True))
        assert row == anew[period], period
    with engine.connect() as connection:
        rows = connection.execute(select(predictions)).mappings().all()
    last = {photo: max(row["time"] for row in rows if row["photo"] == photo) for photo in {r["photo"] for r in rows}}
    for (seconds, start), row in found.items():
        inside = [item for item in rows if start <= item["time"].timestamp() < start + seconds]
        assert row["predictions"] == len(inside) > 0
        assert row["unknown"] == sum(item["unknown"] for item in inside)
        assert row["photos"] == sum(start <= moment.timestamp() < start + seconds for moment in last.values())
        assert row["labels"].get("cat", 0) == sum(item["answer"] == "cat" and not item["unknown"] for item in inside)
        histograms = [from_bytes(row[name]) for name in ("probabilities", "latencies")]
        assert [int(counts.sum()) for counts in histograms] == [len(inside)] * 2


def test_batches_in_any_order_each_row_once(engine: Engine) -> None:
    rows = some(200, 1)
    for start in range(0, 200, 40):
        assert insert(engine, rows[start : start + 40]) == []
    assert insert(engine, [*rows[:50], rows[0], rows[0]]) == []
    assert_those_of_what_is_there(engine)
    with engine.connect() as connection:
        assert sum_updates.photos_in_all(connection) == len({row.photo for row in rows})
    assert feedback.to_review(engine)[1] == len({row.photo for row in rows})


def test_what_goes_is_taken_away_again(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("animal_classification.prediction_log.store.DELETED_AT_ONCE", 30)
    insert(engine, some(200, 2))
    limit = datetime.fromtimestamp(NOW - 1.3 * DAY, UTC)
    deleted = delete_older(engine, 1.3, datetime.fromtimestamp(NOW, UTC))
    assert 60 < deleted < 140
    found = kept(engine)
    assert sum(row["predictions"] for (seconds, _), row in found.items() if seconds == DAY) == 200 - deleted
    assert all(first >= limit.timestamp() for row in found.values() for _, _, _, first, *_ in row["models"])
    insert(engine, some(50, 3, days=0.5))
    assert_those_of_what_is_there(engine)
    delete_older(engine, 0, datetime.fromtimestamp(time.time() + 1, UTC))
    assert kept(engine) == {}, "where nothing is there is no sum"


def test_what_people_said_stays_in_the_sums(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("animal_classification.prediction_log.store.DELETED_AT_ONCE", 30)
    rows = some(200, 4)
    insert(engine, rows)
    for item in rows[::9]:
        feedback.add(engine, Feedback(prediction=item.id, verdict="confirmed"))
    assert 60 < delete_older(engine, 1.3, datetime.fromtimestamp(NOW, UTC)) < 140
    assert_those_of_what_is_there(engine)
    insert(engine, some(50, 5))
    assert_those_of_what_is_there(engine)
    left = delete_older(engine, 0, datetime.fromtimestamp(time.time() + 1, UTC))
    assert left > 50
    assert_those_of_what_is_there(engine)
    assert sum(row["predictions"] for (seconds, _), row in kept(engine).items() if seconds == DAY) == len(rows[::9])


def test_what_is_forgotten_is_in_no_sum(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("animal_classification.prediction_log.store.DELETED_AT_ONCE", 4)
    assert_forgotten_leaves_right_sums(engine)


def assert_forgotten_leaves_right_sums(engine: Engine) -> None:
    rows = [*some(100, 6), *(record(time=NOW - hours * HOUR, photo="cd" * 32) for hours in range(50))]
    insert(engine, rows)
    feedback.add(engine, Feedback(prediction=rows[-1].id, verdict="confirmed"))
    assert delete_photos(engine, {"cd" * 32}) == (50, 1)
    assert_those_of_what_is_there(engine)
    for photo in sorted({row.photo for row in rows[:100]}):
        delete_photos(engine, {photo})
    assert kept(engine) == {}
    assert delete_photos(engine, {"cd" * 32}) == (0, 0)


def test_late_rows_and_a_photo_that_comes_again_and_again(engine: Engine) -> None:
    photo = "cd" * 32
    times = [NOW - 5 * DAY, NOW - 60, NOW - 3 * DAY, NOW, NOW - 3600]
    for number, moment in enumerate(times):
        insert(engine, [record(time=moment, photo=photo)])
        assert sum(row["photos"] for (seconds, _), row in kept(engine).items() if seconds == DAY) == 1, number
    delete_older(engine, 2)
    assert sum(row["photos"] for (seconds, _), row in kept(engine).items() if seconds == HOUR) == 1
    insert(engine, [record(time=NOW - 6 * DAY, photo=photo)])
    assert sum(row["predictions"] for (seconds, _), row in kept(engine).items() if seconds == DAY) == 4


def test_fine_sums_go_when_nobody_asks_for_them(engine: Engine) -> None:
    insert(engine, [record(time=NOW - days * DAY) for days in (0, 1, 3, 40)])
    forget_fine_sums(engine)
    found = [seconds for seconds, _ in kept(engine)]
    assert {seconds: found.count(seconds) for seconds in (MINUTE, TEN_MINUTES, HOUR, DAY)} == {
        MINUTE: 2,
        TEN_MINUTES: 3,
        HOUR: 4,
        DAY: 4,
    }
    assert set(KEPT) == {MINUTE, TEN_MINUTES}
    assert_those_of_what_is_there(engine)
    delete_older(engine, 0, datetime.fromtimestamp(time.time() + 1, UTC))
    assert kept(engine) == {}, "a sum of less than nothing stays"


def test_several_writers(engine: Engine, tmp_path: Path) -> None:
    engines = [connect(f"sqlite:///{tmp_path / 'log.db'}") for _ in range(3)]
    assert_writers_agree(engine, engines)


def assert_writers_agree(engine: Engine, engines: list[Engine]) -> None:
    """Several processes write the same photos and periods at once, and one deletes meanwhile."""
    errors: list[BaseException] = []

    def write(number: int) -> None:
        try:
            rows = some(120, 10 + number)
            for start in range(0, 120, 15):
                assert insert(engines[number], rows[start : start + 15]) == []
                delete_older(engines[number], 2, datetime.fromtimestamp(NOW, UTC))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(len(engines))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for other in engines:
        other.dispose()
    assert errors == []
    assert_those_of_what_is_there(engine)
