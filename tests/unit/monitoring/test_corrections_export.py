"""Corrections as a table to train with: which words are in it, where its photos lie, and what is left out."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image
from sqlalchemy import Engine

from animal_classification.cli.monitor import command
from animal_classification.data.sources.path_tables import list_table
from animal_classification.errors import OutputError, UsageError
from animal_classification.monitoring import corrections_export
from animal_classification.monitoring.corrections_export import export
from animal_classification.prediction_log import feedback
from animal_classification.prediction_log.corrections import COLUMNS
from animal_classification.prediction_log.database import connect
from animal_classification.prediction_log.feedback import Feedback
from animal_classification.prediction_log.migrate import migrate
from animal_classification.prediction_log.photo_store import PhotoFolder
from animal_classification.prediction_log.store import insert
from tests.support.log_records import record

GROUP: dict[str, Any] = {"level": "group", "answer": "feline"}
EMPTY: dict[str, Any] = {"level": "unknown", "answer": "not an animal", "unknown": True, "known": 0.2}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = connect(f"sqlite:///{tmp_path / 'predictions.db'}")
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def photos(tmp_path: Path) -> PhotoFolder:
    return PhotoFolder(tmp_path / "photos")


def drawn(number: int) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (8, 8), (number, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def say(engine: Engine, number: int, word: dict[str, Any], **prediction: Any) -> str:
    """A prediction of the photo ``drawn(number)``, and a word on it; returns the photo's hash."""
    photo = hashlib.sha256(drawn(number)).hexdigest()
    item = record(photo=photo, file=f"{number}.png", **prediction)
    assert insert(engine, [item]) == []
    assert feedback.add(engine, Feedback(prediction=item.id, **word))
    return photo


def read(table: Path) -> list[dict[str, str]]:
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_what_can_be_learned_from_is_exported_and_the_rest_is_counted(
    engine: Engine, photos: PhotoFolder, tmp_path: Path
) -> None:
    kept = [
        say(engine, 1, {"verdict": "corrected", "label": "okapi", "who": "=Ada", "note": "stripes"}),
        say(engine, 2, {"verdict": "confirmed", "label": "cat", "label_id": "cat-id"}),
        say(engine, 3, {"verdict": "confirmed"}),  # a word of before
    ]
    say(engine, 4, {"verdict": "corrected", "label": "dog", "label_id": "dog-id"})  # its photo is not kept
    say(engine, 5, {"verdict": "confirmed", "label": "feline"}, **GROUP)
    say(engine, 6, {"verdict": "none"})  # of before: none of the labels, whatever it is
    say(engine, 7, {"verdict": "none", "label": "no animal"})
    say(engine, 8, {"verdict": "confirmed", "label": "not an animal"}, **EMPTY)
    say(engine, 9, {"verdict": "confirmed", "label": "unknown"}, **(EMPTY | {"answer": "unknown"}))
    for number, photo in enumerate(kept, 1):
        photos.put(photo, drawn(number))
    table = tmp_path / "labels.csv"
    done = export(engine, photos, table)
    assert (done.rows, done.labels) == (3, {"okapi": 1, "cat": 2})
    assert {why: count for why, count in done.left_out.items() if count} == {
        corrections_export.WITHOUT_PHOTO: 1,
        corrections_export.NO_CLASS: 3,
        corrections_export.EMPTY: 2,
    }
    rows = read(table)
    assert tuple(rows[0]) == COLUMNS
    okapi = next(row for row in rows if row["label"] == "okapi")
    assert (okapi["predicted"], okapi["predicted_probability"], okapi["verdict"]) == ("cat", "0.900000", "corrected")
    assert (okapi["who"], okapi["note"], okapi["file"], okapi["photo"]) == ("'=Ada", "stripes", "1.png", kept[0])
    assert [(tmp_path / row["path"]).read_bytes() for row in rows] == [drawn(3), drawn(2), drawn(1)]
    assert sorted(path.suffix for path in (tmp_path / "labels.photos").iterdir()) == [".png"] * 3
    found = list_table(table)
    assert {entry.label for entry in found.entries} == {"okapi", "cat"}

    with_empty = export(engine, photos, table, with_empty=True)
    assert with_empty.left_out[corrections_export.WITHOUT_PHOTO] == 3, (
        "the empty ones are wanted now, but their photos are gone"
    )
    assert with_empty.left_out[corrections_export.EMPTY] == 0


def test_the_last_word_on_a_photo_counts_whichever_prediction_it_is_on(
    engine: Engine, photos: PhotoFolder, tmp_path: Path
) -> None:
    photo = say(engine, 1, {"verdict": "corrected", "label": "okapi"})
    say(engine, 1, {"verdict": "none", "label": "no animal"})
    photos.put(photo, drawn(1))
    done = export(engine, photos, tmp_path / "labels.csv", with_empty=True)
    assert (done.labels, done.left_out[corrections_export.EARLIER]) == ({"no animal": 1}, 1)


def test_originals_are_found_by_their_bytes(engine: Engine, photos: PhotoFolder, tmp_path: Path) -> None:
    say(engine, 1, {"verdict": "corrected", "label": "okapi"})
    say(engine, 2, {"verdict": "corrected", "label": "okapi"})
    original = tmp_path / "cards" / "card 1" / "renamed.png"
    original.parent.mkdir(parents=True)
    original.write_bytes(drawn(1))
    (tmp_path / "cards" / "notes.txt").write_text("okapi?")
    out = tmp_path / "out"
    out.mkdir()
    done = export(engine, photos, out / "labels.csv", find_in=tmp_path / "cards")
    assert [row["path"] for row in read(out / "labels.csv")] == ["../cards/card 1/renamed.png"]
    assert done.left_out[corrections_export.NOT_FOUND] == 1
    assert [path.name for path in out.iterdir()] == ["labels.csv"]


def test_nobody_else_s_file_is_replaced(engine: Engine, photos: PhotoFolder, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("path,label\n")
    with pytest.raises(UsageError, match="no export of corrections"):
        export(engine, photos, table)
    assert table.read_text() == "path,label\n"
    table.unlink()
    for _ in range(2):
        assert export(engine, photos, table).rows == 0
    with pytest.raises(UsageError, match=r"\.csv"):
        export(engine, photos, tmp_path / "labels.xlsx")
    with pytest.raises(UsageError, match="no folder"):
        export(engine, photos, tmp_path / "nowhere" / "labels.csv")
    with pytest.raises(UsageError, match="--find-in"):
        export(engine, photos, table, find_in=tmp_path / "nowhere")


def test_a_folder_that_cannot_be_made_is_one_line(engine: Engine, photos: PhotoFolder, tmp_path: Path) -> None:
    photos.put(say(engine, 1, {"verdict": "corrected", "label": "okapi"}), drawn(1))
    (tmp_path / "labels.photos").write_text("a file")
    with pytest.raises(OutputError, match=r"labels\.photos"):
        export(engine, photos, tmp_path / "labels.csv")


def test_the_command_says_what_it_did(engine: Engine, photos: PhotoFolder, tmp_path: Path) -> None:
    photos.put(say(engine, 1, {"verdict": "corrected", "label": "okapi"}), drawn(1))
    say(engine, 7, {"verdict": "none", "label": "no animal"})
    table = tmp_path / "labels.csv"
    done = CliRunner().invoke(command, ["export", str(table), "--log-folder", str(tmp_path)], catch_exceptions=False)
    assert done.output.splitlines() == [
        f"animals: {table} has 1 photos: okapi 1",
        f"animals: left out: 1 words {corrections_export.EMPTY}",
    ]
    with pytest.raises(UsageError, match="no prediction log"):
        CliRunner().invoke(command, ["export", str(table), "--log-folder", str(tmp_path / "x")], catch_exceptions=False)
