"""What is read of each program's files, and what is said of the broken ones."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from animal_classification.data.detections import Detection
from animal_classification.data.recognitions import Recognitions, document, read_recognitions
from animal_classification.errors import UsageError

BOX = [0.1, 0.2, 0.3, 0.4]


def read(folder: Path, document: object, name: str = "found.json", encoding: str = "utf-8") -> Recognitions:
    file = folder / name
    text = document if isinstance(document, str) else json.dumps(document)
    file.write_bytes(text.encode(encoding))
    return read_recognitions(file)


def megadetector(*images: dict[str, Any], **more: Any) -> dict[str, Any]:
    categories = {"1": "animal", "2": "person", "3": "vehicle"}
    return {"info": {}, "detection_categories": categories, "images": list(images), **more}


def image(name: str = "a.jpg", *boxes: list[float], **more: Any) -> dict[str, Any]:
    found = [{"category": "1", "conf": 0.9, "bbox": box} for box in boxes]
    return {"file": name, "detections": found, **more}


def only(found: Recognitions, name: str = "a.jpg", size: tuple[int, int] | None = None) -> Detection:
    boxes = found.of(name, size)
    assert boxes is not None
    assert len(boxes) == 1
    return boxes[0]


def sides(box: Detection) -> list[float]:
    return [box.x, box.y, box.width, box.height]


@pytest.mark.parametrize(
    ("version", "said"), [("1.6", "1.6"), (1.3, "1.3"), (None, "(without a version)")], ids=["text", "number", "absent"]
)
def test_versions_of_megadetector(tmp_path: Path, version: object, said: str) -> None:
    info = {"detector": "md_v5a.0.0.pt"} | ({} if version is None else {"format_version": version})

    found = read(tmp_path, megadetector(image("a.jpg", BOX), info=info))

    assert found.says == f"found.json: MegaDetector {said} of md_v5a.0.0, 1 file, 1 box"
    assert sides(only(found)) == pytest.approx(BOX)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_content(tmp_path: Path, encoding: str) -> None:
    assert len(read(tmp_path, megadetector(image("ä.jpg", BOX)), encoding=encoding)) == 1


def test_the_most_probable_class_is_the_label_in_whatever_order(tmp_path: Path) -> None:
    written = megadetector(image("a.jpg", BOX), classification_categories={"0": "fox", "1": "bear"})
    written["images"][0]["detections"][0]["classifications"] = [["0", 0.1], ["1", 0.7]]

    box = only(read(tmp_path, written))

    assert (box.label, box.label_probability) == ("bear", 0.7)


def test_a_picture_that_failed_is_to_be_classified_whole_and_one_without_boxes_is_not_unknown(tmp_path: Path) -> None:
    failed = {"file": "b.jpg", "failure": "Failure image access", "detections": None}

    found = read(tmp_path, megadetector(image("a.jpg"), failed))

    assert found.of("a.jpg") == ()
    assert found.of("b.jpg") is None
    assert found.of("c.jpg") is None
    assert any("1 file could not be read" in note for note in found.notes)


def test_boxes_are_cut_to_the_picture_and_empty_ones_counted(tmp_path: Path) -> None:
    nothing = ([0.5, 0.5, 0.0, 0.2], [1.2, 0.1, 0.3, 0.3], [0.5, 0.5, -0.2, 0.1], [0.1, 0.1, 0.2])

    found = read(tmp_path, megadetector(image("a.jpg", [-0.1, 0.9, 0.3, 0.4], *nothing)))

    assert sides(only(found)) == pytest.approx([0.0, 0.9, 0.2, 0.1])
    assert any(note.startswith("4 boxes left out") for note in found.notes)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", '"x"', "true", "9" * 5000])
def test_a_number_that_is_none_drops_its_box_and_nothing_else(tmp_path: Path, number: str) -> None:
    text = json.dumps(megadetector(image("a.jpg", BOX, [0.25, 0.5, 0.25, 0.5]))).replace("0.2,", f"{number},")

    try:
        found = read(tmp_path, text)
    except UsageError as error:  # a whole number of thousands of digits is no JSON for Python
        assert number == "9" * 5000
        assert "cannot be read as JSON" in str(error)
    else:
        assert sides(only(found)) == [0.25, 0.5, 0.25, 0.5]


def test_an_unknown_category_is_an_error_that_names_it(tmp_path: Path) -> None:
    written = megadetector(image("a.jpg", BOX), detection_categories={"1": "bird"})

    with pytest.raises(UsageError, match=r"found\.json: a box of 'a\.jpg' has the category 'bird'; wanted: animal"):
        read(tmp_path, written)


def test_a_category_without_a_name_is_an_error(tmp_path: Path) -> None:
    written = megadetector(image("a.jpg", BOX))
    written["images"][0]["detections"][0]["category"] = "7"

    with pytest.raises(UsageError, match="category '7'"):
        read(tmp_path, written)


def test_animl_has_a_category_for_nothing_whole_scores_and_frames(tmp_path: Path) -> None:
    boxes = [
        {"category": "0", "conf": 0, "bbox": [0, 0, 0, 0]},
        {"category": 1, "conf": 1, "bbox": BOX, "frame": 30},
    ]
    written = megadetector({"file": "a.mp4", "detections": boxes}, info={"format_version": "3.0"})

    found = read(tmp_path, written)

    assert found.dialect == "animl 3.0"
    assert only(found, "a.mp4").frame == 30
    assert not found.notes


def test_the_last_entry_of_a_file_counts_and_that_is_said(tmp_path: Path) -> None:
    found = read(tmp_path, megadetector(image("a.jpg", BOX), image("a.jpg", [0.5, 0.5, 0.5, 0.5])))

    assert sides(only(found)) == [0.5, 0.5, 0.5, 0.5]
    assert found.notes == ("1 file is in it more than once: the last entry counts; first: 'a.jpg'",)


def test_pixels_become_fractions_of_the_size_that_is_told(tmp_path: Path) -> None:
    boxes = [{"category": "animal", "confidence": 0.9, "bbox": [100, 50, 900, 300]}]
    found = read(tmp_path, [{"file": "a.jpg", "detections": boxes}])

    assert found.needs_size
    assert sides(only(found, size=(400, 200))) == [0.25, 0.25, 0.75, 0.75]
    with pytest.raises(UsageError, match=r"in pixels; the size of 'a.jpg' is needed"):
        found.of("a.jpg")


def test_speciesnet_5_names_each_box_and_4_only_the_picture(tmp_path: Path) -> None:
    lion = "id;mammalia;carnivora;felidae;panthera;leo;lion"
    boxes = [
        {"category": "0", "label": "image", "conf": 1, "bbox": [0, 0, 1, 1]},
        {"category": "1", "label": "animal", "conf": 0.9, "bbox": BOX},
        {"category": "2", "label": "human", "conf": 0.8, "bbox": BOX},
    ]
    by_box = [dict(box, processed_classification={"class": lion, "score": 0.7}) for box in boxes]

    newer = read(tmp_path, {"predictions": [{"filepath": "a.jpg", "detections": by_box}]})
    older = read(tmp_path, {"predictions": [{"filepath": "a.jpg", "detections": boxes, "prediction": lion}]})

    for found in (newer, older):
        assert [(box.category, box.label) for box in found.of("a.jpg") or ()] == [("animal", "lion"), ("person", "")]
    assert newer.dialect.startswith("SpeciesNet 5")
    assert older.dialect == "SpeciesNet 4"


def test_what_speciesnet_takes_in_is_no_result(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="what SpeciesNet takes in"):
        read(tmp_path, {"instances": [{"filepath": "a.jpg"}]})


def coco(*annotations: dict[str, Any], **size: int) -> dict[str, Any]:
    categories = [{"id": 0, "name": "empty"}, {"id": 4, "name": "fox"}, {"id": 5, "name": "human"}]
    picture = {"id": "i", "file_name": "a.jpg", "location": "north", **size}
    return {"images": [picture], "categories": categories, "annotations": list(annotations)}


def test_coco_boxes_are_pixels_of_the_size_that_it_names(tmp_path: Path) -> None:
    box = {"image_id": "i", "category_id": 4, "bbox": [100, 50, 200, 100]}

    found = read(tmp_path, coco(box, width=400, height=200))

    assert sides(only(found, size=(4000, 2000))) == [0.25, 0.25, 0.5, 0.5]
    assert only(found).label == "fox"
    assert found.entries[0].place == "north"
    assert sides(only(read(tmp_path, coco(box)), size=(400, 200))) == [0.25, 0.25, 0.5, 0.5]


def test_coco_boxes_of_a_picture_before_it_was_turned_are_not_used(tmp_path: Path) -> None:
    box = {"image_id": "i", "category_id": 4, "bbox": [100, 50, 200, 100]}

    assert read(tmp_path, coco(box, width=400, height=200)).of("a.jpg", (200, 400)) is None


def test_coco_knows_empty_pictures_people_and_pictures_without_boxes(tmp_path: Path) -> None:
    empty = read(tmp_path, coco({"image_id": "i", "category_id": 0}))
    human = read(tmp_path, coco({"image_id": "i", "category_id": 5, "bbox_relative": BOX}))
    unplaced = read(tmp_path, coco({"image_id": "i", "category_id": 4}))

    assert (empty.of("a.jpg"), empty.entries[0].blank) == ((), True)
    assert (only(human).category, only(human).label) == ("person", "")
    assert (unplaced.of("a.jpg"), unplaced.entries[0].label) == (None, "fox")


def test_a_table_of_ours_can_be_read_back(tmp_path: Path) -> None:
    table = (
        "path,detection,frame,category,confidence,x,y,width,height,label,probability\n"
        "a/b.jpg,1,,animal,0.9,0.1,0.2,0.3,0.4,fox,0.8\na/b.jpg,2,,person,0.5,0.5,0.5,0.5,0.5,,\n"
    )
    box = {"category": "animal", "confidence": 0.9, "x": 0.1, "y": 0.2, "width": 0.3, "height": 0.4, "label": "fox"}
    row = {"path": "a/b.jpg", "detections": [box]}

    from_table = read(tmp_path, table, "x.detections.csv").of("a/b.jpg") or ()
    from_lines = only(read(tmp_path, json.dumps(row) + "\n", "x.jsonl"), "a/b.jpg")

    assert [(box.category, box.label) for box in from_table] == [("animal", "fox"), ("person", "")]
    assert sides(from_lines) == pytest.approx(sides(from_table[0]))


def test_addaxai_before_7_wrote_corners_in_pixels(tmp_path: Path) -> None:
    table = (
        "absolute_path,relative_path,data_type,label,confidence,bbox_left,bbox_top,bbox_right,bbox_bottom,"
        "file_height,file_width\nC:\\a,a.jpg,img,red fox,0.9,100,50,300,150,200,400\n"
        "C:\\a,a.jpg,img,person,0.5,0,0,40,200,200,400\n"
    )

    animal, person = read(tmp_path, table, "results_detections.csv").of("a.jpg") or ()

    assert (sides(animal), animal.label) == ([0.25, 0.25, 0.5, 0.5], "red fox")
    assert (person.category, person.label) == ("person", "")


def write_workbook(path: Path, **sheets: str) -> Path:
    """Sheets from CSV, in their order."""
    with xlsxwriter.Workbook(str(path)) as book:
        for name, text in sheets.items():
            sheet = book.add_worksheet(name)
            for number, line in enumerate(text.splitlines()):
                sheet.write_row(number, 0, [float(cell) if cell[:2] == "0." else cell for cell in line.split(",")])
    return path


ADDAXAI_SHEETS = {
    "Summary": "Species,Files\nred fox,1\n",
    "Files": "relative_path,observation_type,classification_label\na.jpg,animal,red fox\nb.jpg,blank,\n",
    "Detections": "relative_path,detection_category,detection_confidence,bbox_x,bbox_y,bbox_width,bbox_height,"
    "common_name\na.jpg,animal,0.9,0.1,0.2,0.3,0.4,red fox\n",
}


def test_of_a_workbook_the_sheet_with_the_boxes_is_read(tmp_path: Path) -> None:
    found = read_recognitions(write_workbook(tmp_path / "addaxai.xlsx", **ADDAXAI_SHEETS))
    assert (found.where, found.dialect) == ("addaxai.xlsx, sheet 'Detections'", "AddaxAI (table of detections)")
    assert sides(only(found)) == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert only(found).label == "red fox"

    without = {name: text for name, text in ADDAXAI_SHEETS.items() if name != "Detections"}
    files = read_recognitions(write_workbook(tmp_path / "files.xlsx", **without))
    assert (files.dialect, [entry.label for entry in files]) == ("AddaxAI (table of files)", ["red fox", ""])


def test_a_workbook_of_something_else_is_refused_with_its_sheets(tmp_path: Path) -> None:
    strange = write_workbook(tmp_path / "x.xlsx", Costs="what,how much\nfuel,7\n", Empty="")
    with pytest.raises(UsageError, match=r"a table of none of these: .*; it has 'what', 'how much'"):
        read_recognitions(strange)
    strange = write_workbook(tmp_path / "y.xlsx", Costs="what,how much\nfuel,7\n", Plan="day,who\n1,me\n")
    with pytest.raises(UsageError, match=r"no sheet that is a table of any of these: .*; its sheets: 'Costs', 'Plan'"):
        read_recognitions(strange)


DESCRIPTOR = {
    "profile": "https://example.org/camtrap-dp/1.0.2/profile.json",
    "resources": [{"name": name, "path": f"{name}.csv"} for name in ("deployments", "media", "observations")],
}
TABLES = {
    "deployments.csv": "deploymentID,locationID,note\nd1,north,\nd2,north\n",
    "media.csv": "mediaID,deploymentID,timestamp,filePath,fileName\n"
    "m1,d1,2020-05-30T04:57:37Z,DCIM/a.jpg,a.jpg\nm2,d2,,https://example.org/file,b.jpg\n",
    "observations.csv": "observationID,mediaID,observationLevel,observationType,scientificName,"
    "bboxX,bboxY,bboxWidth,bboxHeight\no1,m1,media,animal,Vulpes vulpes,0.1,0.2,0.3,0.4\n"
    "o2,m2,media,blank,,,,,\no3,,event,animal,Vulpes vulpes,,,,\n",
}


def write_package(folder: Path, **changes: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in {"datapackage.json": json.dumps(DESCRIPTOR), **TABLES, **changes}.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_camtrap_dp_is_read_from_a_folder_its_descriptor_and_a_zip(tmp_path: Path) -> None:
    folder = write_package(tmp_path / "package")
    zipped = tmp_path / "package.zip"
    with zipfile.ZipFile(zipped, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"inside/{file.name}")

    for place in (folder, folder / "datapackage.json", zipped):
        found = read_recognitions(place)
        assert found.dialect == "Camtrap DP 1.0.2"
        assert sides(only(found, "cards/DCIM/a.jpg")) == pytest.approx(BOX)
        assert only(found, "cards/DCIM/a.jpg").label == "Vulpes vulpes"
        assert found.of("b.jpg") == ()
        assert [entry.place for entry in found] == ["north", "north"]
        assert any("1 observations are of events" in note for note in found.notes)


@pytest.mark.parametrize("path", ["../media.csv", "/etc/passwd", "https://example.org/media.csv", "gone.csv"])
def test_a_package_names_nothing_outside_of_itself(tmp_path: Path, path: str) -> None:
    (tmp_path / "media.csv").write_text(TABLES["media.csv"], encoding="utf-8")
    document = {"resources": [{"name": "media", "path": path}]}

    with pytest.raises(UsageError, match=r"is not in the package|has no file"):
        read_recognitions(write_package(tmp_path / "package", **{"datapackage.json": json.dumps(document)}))


def test_an_observation_type_that_is_not_known_is_an_error(tmp_path: Path) -> None:
    text = TABLES["observations.csv"].replace("blank", "ghost")

    with pytest.raises(UsageError, match="observationType 'ghost'; wanted: animal"):
        read_recognitions(write_package(tmp_path / "package", **{"observations.csv": text}))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "neither JSON nor a table"),
        ("{", "is no JSON"),
        ("[]", "a list of 0 items"),
        ("{}", "an object with nothing"),
        ('{"images": [1], "detection_categories": {}}', r"images\[0\] is no object"),
        ('{"images": [{"detections": []}], "detection_categories": {}}', "has no file"),
        ("[" * 200_000, "nested too deeply"),
    ],
)
def test_what_is_no_result_of_anybody_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        read(tmp_path, text)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "large.json"
    file.write_text(json.dumps(megadetector(image())), encoding="utf-8")

    with pytest.raises(UsageError, match="holds more than 50 bytes; split it"):
        read_recognitions(file, max_bytes=50)


def test_a_table_of_something_else_says_which_are_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a table of none of these: .*animl.*AddaxAI.*Timelapse.*it has 'x', 'y'"):
        read(tmp_path, "x,y\n1,2\n", "other.csv")


def test_what_does_not_fit_into_memory_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "available_memory", lambda: 1200)

    with pytest.raises(UsageError, match="holds more than 100 bytes; split it"):
        read(tmp_path, megadetector(image("a.jpg", BOX)))
