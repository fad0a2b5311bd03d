"""Deleting one photo: nothing of it is left anywhere, and everything else is as before."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from animal_classification.cli.monitor import command
from animal_classification.errors import OutputError
from animal_classification.prediction_log import feedback, forgetting
from animal_classification.prediction_log.database import is_there
from animal_classification.prediction_log.deletion import count_kept, database_of
from animal_classification.prediction_log.feedback import Feedback
from animal_classification.prediction_log.forgetting import Forgotten, erase_rows, forget
from animal_classification.prediction_log.location import LogLocation
from animal_classification.prediction_log.photo_store import photos_at
from animal_classification.prediction_log.record import PredictionRecord
from animal_classification.prediction_log.spool import Spool
from animal_classification.prediction_log.store import insert
from animal_classification.prediction_log.writer import PredictionLog, batches
from tests.support.log_records import record

LION = b"a photo of a lion"
SHA = hashlib.sha256(LION).hexdigest()
OTHER = "ab" * 32


def lion(**given: object) -> PredictionRecord:
    return record(**{"photo": SHA, "file": "secret-lion.jpg", **given})


def filled(place: LogLocation) -> None:
    """The lion and another photo, everywhere where something can be of them."""
    log = PredictionLog(place)
    engine = log.database()
    items = [lion(), record(), lion(time=time.time() - 5 * 86400), record()]
    insert(engine, items)
    for item in items:
        for label in ("secret-cat" if item.photo == SHA else "cat", "dog"):
            feedback.add(engine, Feedback(prediction=item.id, verdict="corrected", label=label))
    log.close()
    photos = photos_at(place.photos)
    for photo in (SHA, OTHER):
        photos.put(photo, b"lion" if photo == SHA else b"cat")
    spool = Spool(place.spool, 10**6)
    for item in (record(), lion(), record()):
        spool.append(item.to_line())
    spool.close()
    place.refused.mkdir()
    (place.refused / "2026-11-29.rows").write_bytes(record().to_line() + lion().to_line())


def rows(path: Path) -> list[str]:
    return [item.photo for records, damaged in batches(path, 100) for item in records if not damaged]


def run(place: LogLocation, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(command, ["forget", "--log-folder", str(place.folder), *words])
    return done.exit_code, done.output


def test_nothing_of_a_photo_is_left_and_all_of_the_others(tmp_path: Path) -> None:
    place = LogLocation(folder=tmp_path)
    filled(place)
    code, output = run(place, SHA.upper())
    assert (code, output) == (
        0,
        "animals: deleted 2 predictions, 4 words on them, 1 kept photos and 2 rows that waited\n",
    )
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    for word in (b"secret-lion", b"secret-cat", SHA.encode()):
        assert [path for path in files if word in path.read_bytes()] == []
    assert not [path for path in files if SHA in path.name]
    engine = database_of(place)
    kept = count_kept(place, engine, photos_at(place.photos))
    assert (kept.predictions, kept.words, kept.photos) == (2, 4, 1)
    assert [rows(path) for path in tmp_path.rglob("*.rows")] in ([[OTHER], [OTHER] * 2], [[OTHER] * 2, [OTHER]])
    assert engine is not None
    engine.dispose()

    code, output = run(place, SHA)
    assert code == 1
    assert output == f"animals: nothing is kept of {SHA} in {tmp_path}\n"
    code, output = run(place, SHA, OTHER, "--json")
    assert (code, json.loads(output)) == (
        0,
        {
            "photos": 1,
            "predictions": 2,
            "words": 4,
            "waiting": 3,
            "baselines": 0,
            "held": False,
            "loops": [],
            "unseen": [],
        },
    )


def test_a_file_stands_for_its_bytes(tmp_path: Path) -> None:
    place = LogLocation(folder=tmp_path / "log")
    filled(place)
    path = tmp_path / "lion.jpg"
    path.write_bytes(LION)
    assert run(place, str(path))[1].startswith("animals: deleted 2 predictions")
    code, _ = run(place, str(tmp_path / "none.jpg"))
    assert code != 0
    assert path.read_bytes() == LION


def test_where_nothing_is_kept_nothing_is_made(tmp_path: Path) -> None:
    place = LogLocation(folder=tmp_path / "none")
    code, output = run(place, SHA)
    assert code == 1
    assert output.count("\n") == 1
    assert not place.folder.exists()
    assert not is_there(place.database)


def test_in_a_bucket(tmp_path: Path) -> None:
    place = LogLocation(folder=tmp_path, photos_url=f"memory://forget/{tmp_path.name}")
    filled(place)
    engine, photos = database_of(place), photos_at(place.photos)
    assert forget(place, engine, photos, [SHA]) == Forgotten(photos=1, predictions=2, words=4, waiting=2)
    assert photos.having([SHA, OTHER]) == {OTHER}
    assert not forget(place, engine, photos, [SHA])
    assert engine is not None
    engine.dispose()


def test_a_running_server_s_rows_go_and_its_other_rows_arrive(tmp_path: Path) -> None:
    place = LogLocation(folder=tmp_path)
    log = PredictionLog(place, interval=0.3)
    log.database()
    others = [record() for _ in range(20)]
    for other in others:
        log.write(lion())
        log.write(other)
    engine = database_of(place)
    assert engine is not None
    done = forget(place, engine, photos_at(place.photos), [SHA])
    assert not done.held
    assert done.predictions + done.waiting >= 20
    log.close(30)
    with engine.connect() as connection:
        found = [row[0] for row in connection.exec_driver_sql("SELECT photo FROM animals_predictions")]
    assert found == [OTHER] * 20
    engine.dispose()


def test_rows_of_a_server_without_a_database_are_erased_and_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "PATIENCE", 0.0)
    place = LogLocation(folder=tmp_path)
    held = Spool(place.spool, 10**6)
    for item in (record(), lion()):
        held.append(item.to_line())
    code, output = run(place, SHA)
    assert code == 1
    assert "1 rows that waited" in output
    assert "forget again" in output
    held.append(record().to_line())
    assert rows(held.rotate()[0]) == [OTHER] * 2
    held.close()


def test_what_only_has_the_photo_s_hash_as_its_name_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.rows"
    named, whole, damaged = record(file=f"{SHA}.jpg").to_line(), lion().to_line(), b"0" + lion().to_line()[1:]
    torn = lion().to_line()[:-1]
    path.write_bytes(named + whole + damaged + torn)
    assert erase_rows(path, [SHA]) in (1, 2)
    assert path.read_bytes().startswith(named)
    assert path.read_bytes().endswith(torn), "it is still being written"
    assert erase_rows(path, [SHA]) == 0
    assert erase_rows(tmp_path / "gone.rows", [SHA]) == 0
    (tmp_path / "folder.rows").mkdir()
    with pytest.raises(OutputError, match=r"folder\.rows: rows cannot be deleted"):
        erase_rows(tmp_path / "folder.rows", [SHA])
