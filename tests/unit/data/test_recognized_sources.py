"""Photos with boxes of other programs become crops with labels and places."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from animal_classification.data.manifest import Manifest
from animal_classification.data.scanner import scan
from animal_classification.data.sources import SourceOptions, read_source
from animal_classification.data.sources.crop_files import LARGEST
from animal_classification.data.sources.recognized import folder_place
from animal_classification.data.splitter import SplitPlan, split
from animal_classification.errors import UsageError

ORIENTATION = 0x0112


def draw(
    file: Path, box: tuple[int, int, int, int], *, size: tuple[int, int] = (400, 200), orientation: int = 1
) -> None:
    """A grey photo with a red rectangle: left, top, right, bottom of the stored pixels."""
    file.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new("RGB", size, (90, 90, 90))
    picture.paste((220, 20, 20), box)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    picture.save(file, quality=95, exif=exif)


def megadetector(*images: dict[str, Any]) -> dict[str, Any]:
    info = {"detector_metadata": {"typical_detection_threshold": 0.3}}
    labels = {"0": "fox", "1": "bear"}
    return {
        "info": info,
        "detection_categories": {"1": "animal", "2": "person"},
        "classification_categories": labels,
        "images": list(images),
    }


def found(*boxes: list[float], label: str | None = "0", conf: float = 0.9, category: str = "1") -> list[dict[str, Any]]:
    named = {} if label is None else {"classifications": [[label, 0.8]]}
    return [{"category": category, "conf": conf, "bbox": box, **named} for box in boxes]


def write(folder: Path, document: object, name: str = "found.json") -> Path:
    file = folder / name
    file.write_text(json.dumps(document), encoding="utf-8")
    return file


def read(file: Path, **options: Any) -> Manifest:
    return read_source(file, SourceOptions(**{"kind": "megadetector", "cache": file.parent / "cache", **options}))


def redness(file: Path) -> float:
    """Share of a crop that is red."""
    pixels = np.asarray(Image.open(file).convert("RGB")).astype(int)
    return float((pixels[..., 0] - pixels[..., 1] > 100).mean())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_crop_is_the_square_around_the_animal_however_the_camera_was_held(tmp_path: Path, orientation: int) -> None:
    photo = tmp_path / "north/a.jpg"
    draw(photo, (300, 120, 350, 160), orientation=orientation)
    with Image.open(photo) as opened:
        upright = np.asarray(ImageOps.exif_transpose(opened).convert("RGB")).astype(int)
    rows, columns = np.nonzero(upright[..., 0] - upright[..., 1] > 100)
    height, width = upright.shape[:2]
    top, left, bottom, right = rows.min(), columns.min(), rows.max() + 1, columns.max() + 1
    box = [left / width, top / height, (right - left) / width, (bottom - top) / height]
    file = write(tmp_path, megadetector({"file": "north/a.jpg", "detections": found([float(side) for side in box])}))

    (row,) = read(file).usable

    assert (row.label, row.group) == ("fox", "north")
    assert (row.width, row.height) == (60, 60)
    assert redness(read(file).file(row)) == pytest.approx(50 * 40 / 60**2, abs=0.05)


def test_every_animal_is_a_photo_and_people_weak_boxes_and_nameless_animals_are_not(tmp_path: Path) -> None:
    draw(tmp_path / "a.jpg", (0, 0, 40, 40))
    detections = [
        *found([0.0, 0.0, 0.1, 0.2], [0.5, 0.5, 0.1, 0.2]),
        *found([0.2, 0.2, 0.1, 0.1], category="2"),
        *found([0.3, 0.3, 0.1, 0.1], conf=0.2),
        *found([0.4, 0.4, 0.1, 0.1], label=None),
    ]

    manifest = read(write(tmp_path, megadetector({"file": "a.jpg", "detections": detections})))

    assert [(row.label, row.group) for row in manifest.usable] == [("fox", "a.jpg"), ("fox", "a.jpg")]
    assert manifest.crops
    assert "1 animals without a label were left out" in manifest.notes
    assert any("confidence of 0.3 and above" in note for note in manifest.notes)


def test_empty_photos_are_a_class_on_request_cut_where_animals_were(tmp_path: Path) -> None:
    draw(tmp_path / "a.jpg", (0, 0, 40, 40))
    draw(tmp_path / "b.jpg", (0, 0, 1, 1))
    file = write(
        tmp_path,
        megadetector({"file": "a.jpg", "detections": found([0.5, 0.5, 0.1, 0.2])}, {"file": "b.jpg", "detections": []}),
    )

    without, wanted = read(file), read(file, blanks=True)

    assert [row.label for row in without.usable] == ["fox"]
    assert any("--blanks makes them a class" in note for note in without.notes)
    assert sorted((row.label, row.width or 0) for row in wanted.usable) == [("blank", 48), ("fox", 48)]


def test_labels_of_one_program_and_boxes_of_another(tmp_path: Path) -> None:
    draw(tmp_path / "north/a.jpg", (0, 0, 40, 40))
    table = tmp_path / "timelapse.csv"
    table.write_text("RootFolder,File,RelativePath,DateTime,Species\nphotos,a.jpg,north,2021-05-01 10:00:00,lynx\n")
    boxes = write(tmp_path, megadetector({"file": "D:\\cards\\north\\a.jpg", "detections": found([0, 0, 0.1, 0.2])}))

    whole = read(table, kind="timelapse")
    cut = read(table, kind="timelapse", boxes=boxes)

    assert [(row.label, row.path) for row in whole.usable] == [("lynx", "north/a.jpg")]
    assert not whole.crops
    assert any("photos are taken whole; --boxes" in note for note in whole.notes)
    # Who looked at the box said fox, and that is nearer than what is said of all of the picture.
    assert [(row.label, row.width) for row in cut.usable] == [("fox", 48)]


def test_a_large_animal_becomes_a_square_that_is_large_enough(tmp_path: Path) -> None:
    draw(tmp_path / "a.jpg", (0, 0, 900, 900), size=(2000, 1500))

    (row,) = read(write(tmp_path, megadetector({"file": "a.jpg", "detections": found([0, 0, 0.45, 0.6])}))).usable

    assert (row.width, row.height) == (LARGEST, LARGEST)


def test_an_unreadable_photo_keeps_the_others(tmp_path: Path) -> None:
    draw(tmp_path / "a.jpg", (0, 0, 40, 40))
    (tmp_path / "b.jpg").write_bytes(b"\xff\xd8broken")
    both = [{"file": name, "detections": found([0, 0, 0.1, 0.2])} for name in ("a.jpg", "b.jpg")]

    manifest = read(write(tmp_path, megadetector(*both)))

    assert len(manifest) == 1
    assert any("1 photos could not be cut" in note for note in manifest.notes)


def test_what_a_manifest_says_of_crops_survives_files_and_divisions_and_old_ones_are_read(tmp_path: Path) -> None:
    draw(tmp_path / "a.jpg", (0, 0, 40, 40))
    detections = [*found([0, 0, 0.1, 0.2]), *found([0.5, 0.5, 0.1, 0.2], label="1")]
    manifest = read(write(tmp_path, megadetector({"file": "a.jpg", "detections": detections})))
    facts = scan([manifest.file(row) for row in manifest], cache=tmp_path / "cache")

    split(manifest, facts, SplitPlan()).manifest.write(tmp_path / "crops.parquet")
    replace(manifest, crops=False).write(tmp_path / "photos.parquet")

    assert Manifest.read(tmp_path / "crops.parquet").crops
    assert not Manifest.read(tmp_path / "photos.parquet").crops


def test_nothing_is_cut_twice_and_another_photo_of_the_name_is_cut_again(tmp_path: Path) -> None:
    draw(tmp_path / "a.jpg", (0, 0, 40, 40))
    file = write(tmp_path, megadetector({"file": "a.jpg", "detections": found([0, 0, 0.1, 0.2])}))
    (first,) = read(file).usable
    written = read(file).file(first).stat().st_mtime_ns

    (again,) = read(file).usable
    draw(tmp_path / "a.jpg", (0, 0, 10, 10))
    (other,) = read(file).usable

    assert (again.path, read(file).file(first).stat().st_mtime_ns) == (first.path, written)
    assert other.sha256 != first.sha256


def test_photos_that_are_elsewhere_are_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    file = write(tmp_path, megadetector({"file": "gone.jpg", "detections": found([0, 0, 0.1, 0.2])}))

    with pytest.raises(UsageError, match=r"none of its 1 files is there below .*'gone.jpg'; say with --root"):
        read(file)


def test_another_kind_is_an_error_that_names_the_right_one(tmp_path: Path) -> None:
    file = write(tmp_path, megadetector({"file": "a.jpg", "detections": []}))

    with pytest.raises(UsageError, match=r"found.json is not coco but MegaDetector .*; say --kind megadetector"):
        read(file, kind="coco")


@pytest.mark.parametrize(
    ("photo", "place"),
    [
        ("north/DCIM/100RECNX/IMG_1.JPG", "north"),
        ("area 1/north/IMG_1.JPG", "area 1/north"),
        ("DCIM/100RECNX/IMG_1.JPG", ""),
        ("IMG_1.JPG", ""),
    ],
)
def test_the_folder_above_a_card_is_a_place(photo: str, place: str) -> None:
    assert folder_place(photo) == place


def test_a_zipped_package_with_its_photos_is_read_as_it_comes(tmp_path: Path) -> None:
    draw(tmp_path / "package/media/a.jpg", (0, 0, 40, 40))
    tables = {
        "datapackage.json": json.dumps(
            {"resources": [{"name": name, "path": f"{name}.csv"} for name in ("deployments", "media", "observations")]}
        ),
        "deployments.csv": "deploymentID,locationID\nd1,north\n",
        "media.csv": "mediaID,deploymentID,filePath\nm1,d1,media/a.jpg\n",
        "observations.csv": "mediaID,observationType,scientificName,bboxX,bboxY,bboxWidth,bboxHeight\n"
        "m1,animal,Vulpes vulpes,0.5,0.5,0.1,0.2\nm1,human,Homo sapiens,0.1,0.1,0.1,0.1\n",
    }
    zipped = tmp_path / "package.zip"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.write(tmp_path / "package/media/a.jpg", "trip/media/a.jpg")
        for name, text in tables.items():
            archive.writestr(f"trip/{name}", text)

    (row,) = read(zipped, kind="camtrap-dp").usable

    assert (row.label, row.group, row.width) == ("Vulpes vulpes", "north", 48)
    assert row.path.startswith("trip/media/a.jpg/0.5000-0.5000-0.1000-0.2000.")
