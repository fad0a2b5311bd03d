"""What the log says of a model in use."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from animal_classification.cli.main import main
from animal_classification.errors import UsageError
from animal_classification.monitoring.status import read_status, seconds_of, status
from animal_classification.monitoring.terminal_text import render
from animal_classification.prediction_log import feedback
from animal_classification.prediction_log.database import connect, writing
from animal_classification.prediction_log.feedback import Feedback
from animal_classification.prediction_log.location import LogLocation
from animal_classification.prediction_log.migrate import VERSION_TABLE, migrate
from animal_classification.prediction_log.store import insert
from animal_classification.prediction_log.sum_updates import rebuild
from animal_classification.prediction_log.tables import predictions
from tests.support.log_records import record

NOW = datetime.now(UTC)


def fill(url: str) -> None:
    engine = connect(url)
    migrate(engine)
    hour = NOW - timedelta(hours=1)
    cats = [
        record(time=(hour + timedelta(seconds=n)).timestamp(), latency=n / 1000, photo=f"{n:064x}") for n in range(100)
    ]
    strangers = [record(time=hour.timestamp(), unknown=True, probability=0.3, known=0.1) for _ in range(20)]
    dogs = [
        record(
            time=(NOW - timedelta(hours=20)).timestamp(), label="dog", label_id="dog-id", version="2", probability=1.0
        )
        for _ in range(40)
    ]
    old = [record(time=(NOW - timedelta(days=3)).timestamp()) for _ in range(7)]
    insert(engine, [*cats, *strangers, *dogs, *old])
    for item in cats[:6]:
        feedback.add(engine, Feedback(prediction=item.id, verdict="confirmed"))
    for item in cats[:2]:
        feedback.add(engine, Feedback(prediction=item.id, verdict="corrected", label="dog", label_id="dog-id"))
    for item in (strangers[0], dogs[0]):
        feedback.add(engine, Feedback(prediction=item.id, verdict="none"))
    feedback.add(engine, Feedback(prediction=old[0].id, verdict="confirmed"))
    engine.dispose()


@pytest.fixture
def place(tmp_path: Path) -> LogLocation:
    place = LogLocation(folder=tmp_path)
    fill(place.database)
    return place


def assert_says_what_is_there(place: LogLocation) -> None:
    found = read_status(place, seconds_of("24h"), now=NOW)
    assert found["predictions"] == 160
    assert found["photos"] == 101
    assert found["unknown"] == {"predictions": 20, "share": 0.125}
    assert [(row["model"], row["version"], row["predictions"]) for row in found["models"]] == [
        ("tiny", "1", 120),
        ("tiny", "2", 40),
    ]
    assert found["labels"] == [
        {"label": "cat", "predictions": 100, "share": 0.625},
        {"label": "dog", "predictions": 40, "share": 0.25},
    ]
    histogram = found["confidence"]["histogram"]
    assert sum(histogram) == 160
    assert (histogram[6], histogram[18], histogram[19]) == (20, 100, 40)
    assert found["latency"]["p50"] == pytest.approx(0.02, rel=0.09)  # the width of a bin
    assert found["latency"]["p99"] == pytest.approx(0.098, rel=0.09)
    assert found["latency"]["mean"] == pytest.approx((sum(range(100)) / 1000 + 60 * 0.02) / 160, abs=1e-6)
    assert found["confidence"]["mean"] == pytest.approx((100 * 0.9 + 20 * 0.3 + 40) / 160)
    assert found["feedback"] == {
        "predictions": 8,
        "confirmed": 4,
        "corrected": 2,
        "none": 2,
        "agreement": 0.625,
        "biased": True,
    }
    times = [part["predictions"] for part in found["over_time"]]
    begins = [datetime.fromisoformat(part["time"]) for part in found["over_time"]]
    assert {later - earlier for earlier, later in pairwise(begins[1:])} == {timedelta(minutes=30)}
    assert len(times) in {48, 49}
    assert sum(times) == 160
    assert sum(found["labels_over_time"]["dog"]) == 40
    assert max(times) in times[-3:]
    assert found["database"]["revision"] == found["database"]["newest_revision"]


def test_a_status(place: LogLocation) -> None:
    assert_says_what_is_there(place)
    text = render(read_status(place, seconds_of("24h"), now=NOW))
    assert "160" in text
    assert "of 8 looked at, 62.5% right" in text
    assert "waiting     nothing" in text


@pytest.mark.slow
def test_it_costs_the_same_whatever_is_kept(tmp_path: Path) -> None:
    """Counted in steps of SQLite's machine, which do not depend on who else uses this one."""
    few, many = (with_so_many(tmp_path / f"{count}.db", count) for count in (3_000, 30_000))
    for since in ("1h", "24h", "7d", "30d"):
        ask = partial(status, place=LogLocation(folder=tmp_path), since=seconds_of(since), now=NOW)
        cheap, dear = (steps(engine, ask) for engine in (few, many))
        assert dear < 1.2 * cheap, since
    cheap, dear = (steps(engine, feedback.to_review) for engine in (few, many))
    assert dear < 1.2 * cheap
    for engine in (few, many):
        engine.dispose()


def with_so_many(path: Path, count: int) -> Engine:
    """Predictions of one day, each photo twice, and words on twenty of them."""
    engine = connect(f"sqlite:///{path}")
    migrate(engine)
    rows = [
        record(id=f"{number:036d}", time=0, photo=f"{number // 2:064x}").to_row()
        | {"time": NOW - timedelta(seconds=number * 86400 / count)}
        for number in range(count)
    ]
    with writing(engine) as connection:
        connection.execute(predictions.insert(), rows)
        rebuild(connection)
    for number in range(0, count, count // 20):
        feedback.add(engine, Feedback(prediction=f"{number:036d}", verdict="confirmed"))
    return engine


def steps(engine: Engine, ask: Callable[[Engine], object]) -> int:
    """How many tens of steps a question takes."""
    done = [0]

    def tick() -> int:
        done[0] += 1
        return 0

    engine.dispose()
    listener = (engine, "connect", lambda connection, _: connection.set_progress_handler(tick, 10))
    event.listen(*listener)
    ask(engine)
    event.remove(*listener)
    engine.dispose()
    return done[0]


def test_a_window_without_anything(place: LogLocation) -> None:
    found = read_status(place, seconds_of("1m"), now=NOW + timedelta(days=400))
    assert found["predictions"] == 0
    assert found["unknown"]["share"] is None
    assert found["latency"]["p50"] is None
    assert found["feedback"]["agreement"] is None
    assert "predictions 0" in render(found).replace("  ", " ").replace("  ", " ")


@pytest.mark.parametrize(("text", "seconds"), [("30m", 1800), ("24h", 86400), ("7d", 604800), ("1.5h", 5400)])
def test_stretches_of_time(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "24", "-1h", "nanh", "1s", "lions", "99999d", "infd"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(UsageError, match="such as 24h"):
        seconds_of(text)


def test_on_the_command_line(place: LogLocation, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["monitor", "status", "--log-folder", str(place.folder), "--json", "--since", "2w"]) == 0
    assert json.loads(capsys.readouterr().out)["predictions"] == 167
    assert main(["monitor", "status", "--log-folder", str(place.folder)]) == 0
    assert "unknown" in capsys.readouterr().out
    assert main(["monitor", "migrate", "--log-folder", str(place.folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"before": "0006", "after": "0006"}


@pytest.mark.parametrize(("revision", "advice"), [("0002", "monitor migrate"), ("9999", "update animals")])
def test_tables_of_another_version(
    place: LogLocation, capsys: pytest.CaptureFixture[str], revision: str, advice: str
) -> None:
    engine = connect(place.database)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '{revision}'")
    engine.dispose()
    assert main(["monitor", "status", "--log-folder", str(place.folder)]) == 2
    said = capsys.readouterr().err
    assert revision in said
    assert advice in said
    assert "Traceback" not in said


def test_without_a_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["monitor", "status", "--log-folder", str(tmp_path / "none")]) == 2
    assert "there is no prediction log" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
    assert main(["monitor", "migrate", "--log-folder", str(tmp_path / "new")]) == 0
    assert "at nothing and are at 0006" in capsys.readouterr().out
