"""Batches that look for animals in boxes: the tables of `animals predict --detector`, bursts over shards included."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from animal_classification.cli.batch import NOT_OF_A_ROW, row_options
from animal_classification.cli.main import main
from animal_classification.predict.field_request import FieldRequest, FieldRules
from animal_classification.predict.request import PredictRequest
from tests.unit.data.drawing import draw


def test_every_option_of_predict_has_its_place() -> None:
    """One that is new goes into plans by itself; rules that need all photos are the merge's."""
    planned = {option.name for option in row_options()}
    assert planned >= {"model", "top_k", "detector", "detect", "detections", "time_from"}
    known = {*PredictRequest.__dataclass_fields__, *FieldRequest.__dataclass_fields__, "time_from"}
    assert planned <= known, "a new option of animals predict: is it about a row? say so in NOT_OF_A_ROW if not"
    assert set(FieldRules.__dataclass_fields__) - {"time_from"} <= NOT_OF_A_ROW


def plant_trail(folder: Path, found: Path) -> Path:
    """Seven pictures of a trail camera within seconds, one of them with an entry too little, and a file that is none.

    Returns:
        What another program found in them, in its own format.
    """
    folder.mkdir()
    document = json.loads((found / "md_annotations.json").read_text())
    entries = {entry["file"]: entry for entry in document["images"]}
    kept = []
    for number, picture in enumerate(sorted(found.glob("*.jpg"))[:7]):
        name = f"20260301_1200{number:02d}.jpg"
        shutil.copyfile(picture, folder / name)
        if number != 5:
            kept.append({**entries[picture.name], "file": f"elsewhere/{folder.name}/{name}"})
    (folder / "20260301_120050.jpg").write_bytes(b"no photo")
    boxes = folder.parent / "boxes.json"
    boxes.write_text(json.dumps({**document, "images": kept}))
    return boxes


@pytest.mark.photos
@pytest.mark.parametrize("boxes", ["detector", "detections"])
def test_tables_of_boxes_and_events(
    tmp_path: Path, photos_dir: Path, boxes: str, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, batch = tmp_path / "cam1", tmp_path / "batch"
    found = plant_trail(photos, photos_dir / "ena24_sample")
    words = [f"--{boxes}", "lite" if boxes == "detector" else str(found), "--time-from", "name"]
    rules = ["--event-gap", "10m", "--html"]
    assert main(["batch", "plan", str(photos), "-o", str(batch), "--shard", "3", *words]) == 0
    noted = capsys.readouterr().err
    assert ("6 of 8 files matched (6 by the end of their paths)" in noted) == (boxes == "detections")
    found.rename(tmp_path / "aside.json")  # the shards carry what was in it
    assert main(["batch", "run", str(batch), "--workers", "1", "--engine", "onnxruntime"]) == 0
    assert main(["batch", "merge", str(batch), "-o", str(tmp_path / "m.csv"), *rules, str(tmp_path / "m.html")]) == 0
    (tmp_path / "aside.json").rename(found)
    alone = ["predict", str(photos), "-o", str(tmp_path / "p.csv"), "--engine", "onnxruntime", "-q", "--threads", "1"]
    assert main([*alone, *words, *rules, str(tmp_path / "p.html")]) == 0
    for ending in ("csv", "detections.csv", "events.csv", "html"):
        assert (tmp_path / f"m.{ending}").read_text() == (tmp_path / f"p.{ending}").read_text(), ending
    assert "data:image/jpeg" in (tmp_path / "m.html").read_text()


def test_two_photos_for_one_entry_are_an_error_before_the_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("a", "b"):
        draw(tmp_path / "photos" / folder / "1.png", 1)
    boxes = {"images": [{"file": "1.png", "detections": []}], "detection_categories": {"1": "animal"}, "info": {}}
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    words = ["batch", "plan", str(tmp_path / "photos"), "-o", str(tmp_path / "batch")]
    assert main([*words, "--detections", str(tmp_path / "boxes.json")]) == 2
    assert "its entry '1.png' may be any of the files" in capsys.readouterr().err
    assert not (tmp_path / "batch" / "plan.json").exists()


def test_a_list_of_names_is_no_file_of_boxes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw(tmp_path / "photos" / "1.png", 1)
    names = tmp_path / "t.csv"
    names.write_text("RootFolder,File,RelativePath,Species\nphotos,1.png,,cat\n", encoding="utf-8")
    words = ["batch", "plan", str(tmp_path / "photos"), "-o", str(tmp_path / "batch"), "--detections", str(names)]
    assert main(words) == 2
    assert "t.csv: Timelapse without boxes" in capsys.readouterr().err


def test_a_page_wants_times(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw(tmp_path / "photos" / "1.png", 1)
    batch = str(tmp_path / "batch")
    assert main(["batch", "plan", str(tmp_path / "photos"), "-o", batch]) == 0
    words = ["batch", "merge", batch, "-o", str(tmp_path / "m.csv"), "--html", str(tmp_path / "m.html")]
    assert main(words) == 2
    assert "plan the batch with --detector lite, or --detector none" in capsys.readouterr().err
    assert main(["batch", "plan", str(tmp_path / "photos"), "-o", batch, "--embeddings", "--detector", "lite"]) == 2
    assert "--embeddings are of whole photos" in capsys.readouterr().err
