"""The log and a reference as tables of the same columns, read by what other monitors read parquet with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from animal_classification.cli.main import main
from animal_classification.imaging.statistics import NAMES
from animal_classification.monitoring.table_export import COLUMNS
from animal_classification.prediction_log.database import connect
from animal_classification.prediction_log.feedback import Feedback, add
from animal_classification.prediction_log.location import LogLocation
from animal_classification.prediction_log.migrate import migrate
from animal_classification.prediction_log.store import insert
from tests.support.drift_log import Scenes, ago, write_watched_bundle
from tests.support.tiny_bundle import write_tiny_bundle


@pytest.fixture
def place(tmp_path: Path) -> LogLocation:
    place = LogLocation(folder=tmp_path / "log")
    engine = connect(place.database)
    migrate(engine)
    rows = Scenes(1).records(60, ago(5), source="gate")
    insert(engine, [*rows, *Scenes(2).records(5, ago(100), stats=None)])
    add(engine, Feedback(prediction=rows[0].id, verdict="corrected", label="lynx"))
    engine.dispose()
    return place


def asked(question: str, table: Path) -> list[tuple[Any, ...]]:
    with duckdb.connect() as database:
        return database.execute(question.replace("$1", f"'{table}'")).fetchall()


def test_the_log_as_a_table(place: LogLocation, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "log.parquet"
    words = ["monitor", "export", str(table), "--log-folder", str(place.folder), "--json"]
    assert main([*words, "--since", "7d"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 65
    assert main([*words, "--since", "24h"]) == 0
    types = asked("SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM $1)", table)
    assert dict(types) == COLUMNS
    counts = "count(*), count(target), count(brightness), max(source), count(DISTINCT prediction)"
    assert asked(f"SELECT {counts} FROM $1", table) == [(60, 1, 60, "gate", 3)]
    assert asked("SELECT target FROM $1 WHERE target IS NOT NULL", table) == [("lynx",)]


def test_the_reference_has_the_same_columns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle, table = write_watched_bundle(tmp_path / "tiny"), tmp_path / "reference.parquet"
    assert main(["monitor", "export", str(table), "--reference", str(bundle)]) == 0
    names = asked("SELECT column_name FROM (DESCRIBE SELECT * FROM $1)", table)
    assert [name for (name,) in names] == list(COLUMNS)
    assert asked(f"SELECT count(*), count({NAMES[-1]}), count(target) FROM $1", table) == [(350, 350, 350)]
    bare = write_tiny_bundle(tmp_path / "bare")
    assert main(["monitor", "export", str(table), "--reference", str(bare)]) == 2
    assert "no reference" in capsys.readouterr().err
    assert main(["monitor", "export", str(tmp_path / "a.csv"), "--reference", str(bundle)]) == 2
    assert ".parquet" in capsys.readouterr().err


def test_without_a_log_and_where_it_cannot_be_written(
    place: LogLocation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = ["--log-folder", str(tmp_path / "none")]
    assert main(["monitor", "export", str(tmp_path / "a.parquet"), *nothing]) == 2
    assert "no prediction log" in capsys.readouterr().err
    words = ["--log-folder", str(place.folder)]
    assert main(["monitor", "export", str(tmp_path / "no/such/folder.parquet"), *words]) == 1
    assert "cannot write" in capsys.readouterr().err
    assert list(tmp_path.glob("*.parquet")) == []
