"""Deleting all that was kept: asked first, and nothing is left afterwards, in the database's file neither."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from animal_classification.cli.monitor import command
from animal_classification.monitoring.status import status
from animal_classification.prediction_log import feedback
from animal_classification.prediction_log.deletion import clear, count_kept, database_of
from animal_classification.prediction_log.feedback import Feedback
from animal_classification.prediction_log.location import LogLocation
from animal_classification.prediction_log.photo_store import PhotoFolder, photos_at
from animal_classification.prediction_log.spool import Spool
from animal_classification.prediction_log.store import insert
from animal_classification.prediction_log.writer import PredictionLog
from tests.support.log_records import record, some


def filled(folder: Path) -> LogLocation:
    place = LogLocation(folder=folder)
    log = PredictionLog(place)
    engine = log.database()
    items = [*some(30, 1), record(file="secret-lion.jpg")]
    insert(engine, items)
    feedback.add(engine, Feedback(prediction=items[0].id, verdict="confirmed", label="cat"))
    log.close()
    PhotoFolder(Path(place.photos)).put("ab" * 32, b"lion")
    spool = Spool(place.spool, 10**6)
    spool.append(record().to_line())
    spool.close()
    place.refused.mkdir()
    (place.refused / "2026-11-29.rows").write_bytes(record().to_line())
    return place


def run(place: LogLocation, *options: str, said: str = "") -> tuple[int, str]:
    done = CliRunner().invoke(command, ["clear", "--log-folder", str(place.folder), *options], input=said)
    return done.exit_code, done.output


def test_it_asks_and_then_nothing_is_left(tmp_path: Path) -> None:
    place = filled(tmp_path)
    code, output = run(place, said="n\n")
    assert code != 0
    assert "31 predictions and 1 words" in output
    assert "1 photos" in output
    assert "1 files of rows that wait and 1 that were refused" in output
    assert b"secret-lion" in (tmp_path / "predictions.db").read_bytes()

    code, output = run(place, said="y\n")
    assert code == 0
    assert output.splitlines()[-1] == "animals: deleted"
    assert not any(b"secret-lion" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert not list(tmp_path.glob("photos/??/*"))
    assert not list(tmp_path.rglob("*.rows"))
    engine = database_of(place)
    assert engine is not None
    assert not count_kept(place, engine, photos_at(place.photos))
    assert status(engine, place, 30 * 86400.0)["predictions"] == 0
    assert feedback.to_review(engine) == ([], 0)
    assert insert(engine, [record()]) == []
    assert feedback.to_review(engine)[1] == 1
    engine.dispose()


def test_where_nothing_is_kept_nothing_is_made(tmp_path: Path) -> None:
    code, output = run(LogLocation(folder=tmp_path / "none"))
    assert (code, "nothing is kept" in output) == (0, True)
    assert not (tmp_path / "none").exists()


def test_what_a_running_server_holds_is_said_to_be_left(tmp_path: Path) -> None:
    place = filled(tmp_path)
    held = Spool(place.spool, 10**6)
    held.append(record().to_line())
    code, output = run(place, "--yes")
    assert code == 0
    assert "a server is running" in output
    assert held.waiting_bytes > 0
    held.close()


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_photos_go_wherever_they_are(tmp_path: Path, kind: str) -> None:
    photos = photos_at(str(tmp_path / "photos")) if kind == "folder" else photos_at(f"memory://clear/{tmp_path.name}")
    for number in range(3):
        photos.put(f"{number:064x}", b"lion")
    assert photos.kept() == (3, 12)
    assert not clear(LogLocation(folder=tmp_path), None, photos)
    assert photos.kept() == (0, 0)
