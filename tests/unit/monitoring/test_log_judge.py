"""Drift on the log: what is read, when it is judged, what is kept of it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine

from animal_classification import bundle as bundles
from animal_classification.cli.main import main
from animal_classification.monitoring.baselines import BaselineStore
from animal_classification.monitoring.drift.judge import NoReferenceError
from animal_classification.monitoring.judge_lock import judging
from animal_classification.monitoring.log_judge import LogJudge, ServedVersion, WindowRules
from animal_classification.prediction_log import drift_records
from animal_classification.prediction_log.database import connect, reading
from animal_classification.prediction_log.drift_records import DriftRecord
from animal_classification.prediction_log.feedback import Feedback, add
from animal_classification.prediction_log.location import LogLocation
from animal_classification.prediction_log.migrate import migrate
from animal_classification.prediction_log.store import insert
from tests.support.drift_log import Scenes, ago, write_watched_bundle
from tests.support.tiny_bundle import write_tiny_bundle


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_watched_bundle(tmp_path_factory.mktemp("watched") / "tiny")


@pytest.fixture
def served(watched: Path) -> ServedVersion:
    return ServedVersion(bundle=bundles.load(str(watched)), model="tiny", version="1")


@pytest.fixture
def place(tmp_path: Path) -> LogLocation:
    return LogLocation(folder=tmp_path)


@pytest.fixture
def engine(place: LogLocation) -> Iterator[Engine]:
    engine = connect(place.database)
    migrate(engine)
    yield engine
    engine.dispose()


def kept(engine: Engine) -> list[DriftRecord]:
    with reading(engine) as connection:
        return drift_records.verdicts_since(connection, drift_records.now() - timedelta(days=365))


def test_dark_photos_are_named_confirmed_in_the_second_window_and_each_window_is_judged_once(
    engine: Engine, place: LogLocation, served: ServedVersion
) -> None:
    scenes, judge = Scenes(2), LogJudge(place)
    insert(engine, scenes.records(200, ago(5)))
    clean = judge.judge_newest(engine, served)
    assert clean is not None
    assert (clean.kind, clean.confirmed, clean.value, clean.used) == ("none", False, 0.0, 200)
    assert judge.judge_newest(engine, served) is None
    insert(engine, scenes.records(200, ago(4), dark=1.5))
    first = judge.judge_newest(engine, served)
    assert first is not None
    assert (first.kind, first.confirmed, first.value) == ("image", False, 0.2)
    assert "brightness" in first.explain or "dark" in first.explain
    insert(engine, scenes.records(200, ago(3), dark=1.5))
    second = LogJudge(place).judge_newest(engine, served)  # another process
    assert second is not None
    assert (second.kind, second.confirmed) == ("image", True)
    assert second.value > 0.25
    assert second.since > first.until
    assert [one.id for one in kept(engine)] == [second.id, first.id, clean.id]
    assert drift_records.since_of(kept(engine)) == first.since
    assert second.verdict["verdict"]["confirmed"] is True


def test_the_same_photos_have_the_same_row(engine: Engine, place: LogLocation, served: ServedVersion) -> None:
    insert(engine, Scenes(3).records(200, ago(2)))
    record = LogJudge(place).judge_newest(engine, served)
    assert record is not None
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM animals_drift")
    again = LogJudge(place).judge_newest(engine, served)
    assert again is not None
    assert dataclasses.replace(again, time=record.time) == record
    with engine.begin() as connection:
        assert not drift_records.add_record(connection, again)
    assert len(kept(engine)) == 1


def test_few_photos_wait_until_they_are_many_or_old(engine: Engine, place: LogLocation, served: ServedVersion) -> None:
    scenes, judge = Scenes(4), LogJudge(place, WindowRules(patience=timedelta(hours=1)))
    insert(engine, scenes.records(40, ago(20)))
    assert judge.judge_newest(engine, served) is None
    insert(engine, scenes.records(60, ago(0.1)))
    found = judge.judge_newest(engine, served)
    assert found is not None
    assert found.used == 100
    insert(engine, scenes.records(60, ago(0.05)))
    assert judge.judge_newest(engine, served) is None


def test_bursts_canaries_other_versions_and_old_photos_are_left_out(
    engine: Engine, place: LogLocation, served: ServedVersion
) -> None:
    scenes = Scenes(5)
    rows = scenes.records(60, ago(2))
    frames = [
        dataclasses.replace(
            row, id=f"{row.id[:-1]}-{number}"[-36:], photo=f"{number}" * 64, time=row.time + 0.1 * number
        )
        for row in rows
        for number in range(1, 5)
    ]
    others = scenes.records(60, ago(2), canary=True) + scenes.records(60, ago(2), version="2")
    insert(engine, [*rows, *frames, *others, *scenes.records(60, ago(40))])
    found = LogJudge(place).judge_newest(engine, served)
    assert found is not None
    assert (found.read, found.used) == (300, 60)


def test_a_source_by_itself(engine: Engine, place: LogLocation, served: ServedVersion) -> None:
    scenes, judge = Scenes(6), LogJudge(place)
    insert(engine, scenes.records(200, ago(3), source="gate") + scenes.records(200, ago(3), source="river", dark=2.0))
    gate, river = (judge.judge_newest(engine, served, source) for source in ("gate", "river"))
    assert gate is not None
    assert river is not None
    assert (gate.kind, river.kind) == ("none", "image")
    assert (gate.source, river.source) == ("gate", "river")


def test_rows_of_before_have_no_statistics_and_are_judged_by_the_rest(
    engine: Engine, place: LogLocation, served: ServedVersion
) -> None:
    insert(engine, Scenes(7).records(200, ago(3), stats=None, new=0.4))
    found = LogJudge(place).judge_newest(engine, served)
    assert found is not None
    assert found.kind == "content"


def test_without_a_reference(engine: Engine, place: LogLocation, tmp_path: Path) -> None:
    bundle = bundles.load(str(write_tiny_bundle(tmp_path / "bare")))
    with pytest.raises(NoReferenceError, match="monitor reference"):
        LogJudge(place).judge_newest(engine, ServedVersion(bundle=bundle, model="tiny", version="1"))


def test_an_accepted_baseline_ends_the_alarm(
    engine: Engine, place: LogLocation, watched: Path, served: ServedVersion, capsys: pytest.CaptureFixture[str]
) -> None:
    scenes = Scenes(8)
    insert(engine, scenes.records(400, ago(20), dark=1.5))
    words = ["--log-folder", str(place.folder), "--model", str(watched)]
    assert main(["monitor", "drift", "--since", "24h", "--fail-on", "confirmed", *words]) == 1
    assert "drift of the image, confirmed" in capsys.readouterr().out
    accept = ["monitor", "accept", "--since", "24h", *words, "--who", "Ada", "--json"]
    assert main([*accept, "--why", " "]) == 2
    assert "--why" in capsys.readouterr().err
    assert main([*accept, "--why", "winter"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["who"], told["why"], told["photos"]) == ("Ada", "winter", 400)
    assert len(BaselineStore(place).read(told["sha256"])) == 400
    insert(engine, scenes.records(200, ago(1), dark=1.5))
    found = LogJudge(place).judge_newest(engine, served)
    assert found is not None
    assert (found.kind, found.reference) == ("none", told["sha256"])
    assert main(["monitor", "drift", "--since", "2h", *words]) == 0
    assert "an accepted baseline" in capsys.readouterr().out
    assert main(["monitor", "drift", "--since", "2h", *words, "--against", "training", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"]["kind"] == "image"


def test_a_baseline_whose_file_is_gone_says_what_to_do(
    engine: Engine, place: LogLocation, watched: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    insert(engine, Scenes(9).records(200, ago(1)))
    words = ["--log-folder", str(place.folder), "--model", str(watched)]
    assert main(["monitor", "accept", *words, "--who", "Ada", "--why", "usual", "--json"]) == 0
    Path(json.loads(capsys.readouterr().out)["file"]).unlink()
    assert main(["monitor", "drift", "--since", "24h", *words]) == 2
    assert "accept one again" in capsys.readouterr().err


def test_a_model_that_is_not_in_the_log(
    engine: Engine, place: LogLocation, watched: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    insert(engine, Scenes(10).records(60, ago(1), model="zoo"))
    words = ["monitor", "drift", "--since", "24h", "--log-folder", str(place.folder), "--model"]
    assert main([*words, str(watched)]) == 2
    assert "zoo (60)" in capsys.readouterr().err
    assert main([*words, f"zoo={watched}", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == "zoo"
    assert main(["monitor", "drift"]) == 2
    assert "--since" in capsys.readouterr().err


def test_the_audit_is_told_beside_the_estimate(engine: Engine, place: LogLocation, served: ServedVersion) -> None:
    rows = Scenes(11).records(200, ago(2), audit=0.25)
    chosen = [dataclasses.replace(row, audited=True) if place % 4 == 0 else row for place, row in enumerate(rows)]
    insert(engine, chosen)
    for number, row in enumerate(row for row in chosen if row.audited):
        wrong = number % 10 == 0
        word = (
            Feedback(prediction=row.id, verdict="none") if wrong else Feedback(prediction=row.id, verdict="confirmed")
        )
        add(engine, word)
    found = LogJudge(place).judge_newest(engine, served)
    assert found is not None
    audit = found.verdict["accuracy"]["audit"]
    assert audit["reviewed"] == 50
    assert audit["low"] < 0.9 < audit["high"]
    low, high = found.verdict["accuracy"]["estimated"]
    assert low < high


def test_one_process_judges_at_a_time(engine: Engine, place: LogLocation) -> None:
    with judging(engine, place) as mine, judging(engine, place) as other:
        assert (mine, other) == (True, False)
    with judging(engine, place) as again:
        assert again


def test_a_window_of_the_log_costs_little(engine: Engine, place: LogLocation, served: ServedVersion) -> None:
    """Not a speed: that judging does not grow with the log, by what it reads."""
    insert(engine, Scenes(12).records(3000, ago(2)))
    found = LogJudge(place).judge_newest(engine, served)
    assert found is not None
    assert found.read == 2000
    assert found.used == 200
    assert np.isfinite(list(found.p.values())).all()
