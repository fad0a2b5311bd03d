"""Real files of other programs, and the photos that they are about."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from PIL import Image

from animal_classification.data.detections import Detection
from animal_classification.data.recognitions import read_recognitions
from animal_classification.errors import UsageError

SAYS = {
    "recognition/md_format_1.3.json": "MegaDetector 1.3 of md_v5a.0.0, 26 files, 37 boxes",
    "recognition/md_format_1.4.json": "MegaDetector 1.4 of md_v5a.0.0, 27 files, 38 boxes",
    "recognition/md_format_1.5.json": "MegaDetector 1.5 of md_v5a.0.0, 27 files, 38 boxes",
    "recognition/md_format_1.6.json": "MegaDetector 1.6 of md_v5a.0.0, 27 files, 38 boxes",
    "recognition/md_windows_paths.json": "MegaDetector 1.6 of md_v5a.0.0, 27 files, 38 boxes",
    "recognition/microsoft_megadetector_cli.json": (
        "MegaDetector (Microsoft's command line, boxes in pixels), 26 files, 31 boxes"
    ),
    "recognition/speciesnet_4_ensemble.json": "SpeciesNet 4 of model 4.0.0a, 2 files, 16 boxes",
    "recognition/speciesnet_5.json": "SpeciesNet 5 (format 20261015) of model 4.0.3a, 2 files, 16 boxes",
    "recognition/zamba_no_version.json": "MegaDetector (without a version), 5 files, 3 boxes",
    "tables/addaxai_files.csv": "AddaxAI (table of files), 22 files, no boxes",
    "tables/animl_detections.csv": "animl (table), 18 files, 22 boxes",
    "tables/animl_results.csv": "animl (table), 18 files, 22 boxes",
    "tables/coco_camera_traps.json": "COCO Camera Traps, 22 files, 25 boxes",
    "tables/timelapse_export.csv": "Timelapse, 22 files, no boxes",
    "tables/wildlife_insights_cajambre": "Wildlife Insights, 657 files, no boxes",
    "camtrap_dp": "Camtrap DP 1.0.2, 418 files, 15 boxes",
    "camtrap_dp_old_broken/datapackage_for_parsing_issues.json": "Camtrap DP 0.1.6, 4 files, no boxes",
}


@pytest.fixture(scope="module")
def field(photos_dir: Path) -> Path:
    return photos_dir / "field"


def rounded(boxes: tuple[Detection, ...] | None) -> list[tuple[float, ...]] | None:
    if boxes is None:
        return None
    return sorted(tuple(round(side, 2) for side in (box.x, box.y, box.width, box.height)) for box in boxes)


@pytest.mark.parametrize(("name", "said"), SAYS.items(), ids=SAYS)
def test_every_file_is_recognised_and_counted(field: Path, name: str, said: str) -> None:
    place = field / name

    assert read_recognitions(place).says == f"{place.name}: {said}"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("recognition/speciesnet_instances.json", "what SpeciesNet takes in"),
        ("tables/deployments.csv", "a table of none of these"),
        ("tables/speciesnet_geofence_fixes.csv", "a table of none of these"),
        ("truth.csv", "a table of none of these"),
        ("camtrap_dp_old_broken", "a folder without datapackage.json"),
        ("photos/burrow/RCNX0712.JPG", "neither JSON nor a table"),
    ],
)
def test_what_holds_no_detections_is_refused(field: Path, name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_recognitions(field / name)


@pytest.mark.parametrize("name", ["md_format_1.3", "md_format_1.4", "md_windows_paths", "microsoft_megadetector_cli"])
def test_all_dialects_have_the_same_boxes_of_the_same_photos(field: Path, name: str) -> None:
    reference = read_recognitions(field / "recognition/md_format_1.6.json")
    found = read_recognitions(field / f"recognition/{name}.json")
    photos = [entry.name for entry in reference if entry.boxes and Path(entry.name).suffix != ".mp4"]

    assert len(found.match(photos).entry_of) == len(photos) == 24
    for photo in photos:
        with Image.open(field / photo) as opened:
            size = opened.size
        least = 0.2 if found.needs_size else 0.0  # Microsoft's command line leaves weaker boxes out
        expected = tuple(box for box in reference.of(photo) or () if box.confidence >= least)
        assert rounded(found.of(photo, size)) == rounded(expected)


def test_boxes_are_where_the_animals_are_known_to_be(field: Path) -> None:
    found = read_recognitions(field / "tables/coco_camera_traps.json")
    truth = {row["file"]: row for row in csv.DictReader((field / "truth.csv").read_text("utf-8").splitlines())}

    for entry in found:
        if entry.boxes:
            known = json.loads(truth[entry.name]["boxes"])
            assert {tuple(round(side, 2) for side in box) for box in known} == set(rounded(found.of(entry.name)) or ())


def test_windows_paths_match_by_their_ends(field: Path) -> None:
    found = read_recognitions(field / "recognition/md_windows_paths.json")
    photos = sorted(path.relative_to(field).as_posix() for path in field.glob("photos/*/*.*"))

    match = found.match(photos)

    assert found.says_of(match) == (
        f"md_windows_paths.json: MegaDetector 1.6 of md_v5a.0.0, {len(match.entry_of)} of {len(photos)} files matched "
        f"({len(match.entry_of)} by the end of their paths)"
    )
    assert len(match.entry_of) == 21


def test_media_of_camtrap_dp_have_labels_places_and_boxes(field: Path) -> None:
    found = read_recognitions(field / "camtrap_dp")
    heron = next(entry for entry in found if entry.name.startswith("media/"))

    assert (heron.label, heron.deployment, heron.location) == ("Ardea", "62c200a9", "ce943ced")
    assert heron.boxes is not None
    assert heron.boxes[0].label == "Ardea"
    assert sum(entry.blank for entry in found) == 112


def test_a_table_with_short_rows_is_read(photos_dir: Path) -> None:
    assert read_recognitions(photos_dir / "camtrap_dp_small").says.endswith("Camtrap DP 1.0.2, 5 files, 5 boxes")
