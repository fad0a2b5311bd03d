"""A server that judges drift beside its answers: it names what changed, and a kill while it judges loses nothing."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

from animal_classification import bundle as bundles
from animal_classification.monitoring.log_judge import LogJudge, ServedVersion
from animal_classification.prediction_log import drift_records
from animal_classification.prediction_log.database import connect, reading
from animal_classification.prediction_log.location import LogLocation
from animal_classification.prediction_log.migrate import migrate
from animal_classification.prediction_log.store import insert
from tests.support.drift_log import Scenes, ago, write_watched_bundle

# Judges for ever: each window anew, because the verdict is deleted after it was written.
JUDGE = """
import sys
from pathlib import Path
from sqlalchemy import text
from animal_classification import bundle
from animal_classification.monitoring.judge_lock import judging
from animal_classification.monitoring.log_judge import LogJudge, ServedVersion
from animal_classification.prediction_log.database import connect, writing
from animal_classification.prediction_log.location import LogLocation
place = LogLocation(folder=Path(sys.argv[1]))
engine = connect(place.database)
judge = LogJudge(place)
served = ServedVersion(bundle=bundle.load(sys.argv[2]), model="tiny", version="1")
while True:
    print("judging", flush=True)
    with judging(engine, place) as mine:
        assert mine
        judge.judge_newest(engine, served)
    with writing(engine) as connection:
        connection.execute(text("DELETE FROM animals_drift WHERE model = 'tiny'"))
"""


def test_a_kill_while_judging_loses_nothing(tmp_path: Path) -> None:
    bundle = write_watched_bundle(tmp_path / "tiny")
    place = LogLocation(folder=tmp_path / "log")
    engine = connect(place.database)
    migrate(engine)
    insert(engine, Scenes(30).records(200, ago(3), dark=1.5))
    for number in range(4):
        words = [sys.executable, "-c", JUDGE, str(place.folder), str(bundle)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(1 + number):
                assert process.stdout.readline() == "judging\n"
            os.kill(process.pid, signal.SIGKILL)
    with sqlite3.connect(tmp_path / "log" / "predictions.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT count(*) FROM animals_predictions").fetchone() == (200,)
        connection.execute("DELETE FROM animals_drift")
    connection.close()
    found = LogJudge(place).judge_newest(
        engine, ServedVersion(bundle=bundles.load(str(bundle)), model="tiny", version="1")
    )
    assert found is not None
    assert found.kind == "image"
    with reading(engine) as rows:
        kept = drift_records.verdicts_since(rows, drift_records.now() - timedelta(days=1))
    assert [one.id for one in kept] == [found.id]
    engine.dispose()
