"""Batches that look for animals in boxes: the tables of `animals predict --detector`, bursts over shards included."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from animal_classification.cli.batch import NOT_OF_A_ROW, row_options
from animal_classification.cli.main import main
from animal_classification.predict.field_request import FieldRequest, FieldRules
from animal_classification.predict.request import PredictRequest
from tests.support.predicting import run


def test_every_option_of_predict_has_its_place() -> None:
    """One that is new goes into plans by itself; rules that need all photos are the merge's."""
    planned = {option.name for option in row_options()}
    assert planned >= {"model", "top_k", "detector", "detect", "time_from"}
    known = {*PredictRequest.__dataclass_fields__, *FieldRequest.__dataclass_fields__, "time_from"}
    assert planned <= known, "a new option of animals predict: is it about a row? say so in NOT_OF_A_ROW if not"
    assert set(FieldRules.__dataclass_fields__) - {"time_from"} <= NOT_OF_A_ROW


@pytest.mark.photos
def test_tables_of_boxes_and_events(tmp_path: Path, photos_dir: Path) -> None:
    photos = tmp_path / "cam1"
    photos.mkdir()
    pictures = sorted(path for path in (photos_dir / "ena24_sample").rglob("*") if path.suffix.lower() == ".jpg")[:7]
    for number, picture in enumerate(pictures):
        shutil.copyfile(picture, photos / f"20260301_1200{number:02d}.jpg")
    (photos / "20260301_120050.jpg").write_bytes(b"no photo")
    words = ("--detector", "lite", "--time-from", "name")
    batch = tmp_path / "batch"
    assert run("batch", "plan", photos, "-o", batch, "--shard", 3, *words, "--json").returncode == 0
    done = run("batch", "run", batch, "--workers", 1, "--engine", "onnxruntime")
    assert done.returncode == 0, done.stderr.decode()
    assert main(["batch", "merge", str(batch), "-o", str(tmp_path / "m.csv"), "--event-gap", "10m"]) == 0
    predicted = ("predict", photos, "-o", tmp_path / "p.csv", "--engine", "onnxruntime", "-q", "--threads", 1)
    assert run(*predicted, *words, "--event-gap", "10m").returncode == 0
    for ending in ("csv", "detections.csv", "events.csv"):
        assert (tmp_path / f"m.{ending}").read_text() == (tmp_path / f"p.{ending}").read_text(), ending
