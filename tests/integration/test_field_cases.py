"""Cases from public reports, through ``animals predict`` as a person calls it: ``field_cases`` and their READMEs."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest
from python_calamine import CalamineWorkbook

from animal_classification.cli.main import main
from tests.support.trail_photos import put, taken
from tests.unit.field.test_cards import START

Row = dict[str, str]


@pytest.fixture
def cases(photos_dir: Path) -> Path:
    return photos_dir / "field_cases"


def predicted(folder: Path, target: Path, *words: str) -> dict[str, Row]:
    assert main(["predict", str(folder), "-o", str(target), "-q", *words]) == 0
    return table(target)


def table(path: Path) -> dict[str, Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def test_case_02_times_that_are_only_in_the_file_name(cases: Path, tmp_path: Path) -> None:
    rows = predicted(cases / "02-time-only-in-the-file-name", tmp_path / "x.csv", "--time-from", "name")
    assert {name: (row["time"], row["time_source"]) for name, row in rows.items()} == {
        "016719001060737-28-4-01062026143715-SYFW00012.jpg": ("2026-01-06T14:37:15", "name"),
        "016719001060737-58-3-02202026094914-SYFW00175.jpg": ("2026-02-20T09:49:14", "name"),
        "016719001004974-0-4-07152026090412-SYFW00693.jpg": ("2026-07-15T09:04:12", "name"),
        "016719001004974-47-3-08142026144020-SYFW00787.jpg": ("2026-08-14T14:40:20", "name"),
        "AABP 13_20051007_1205.jpg": ("2005-10-07T12:05:00", "name"),
        "20251112_100312.jpg": ("2025-11-12T10:03:12", "name"),
        "IMG_20230101_A.jpg": ("", "date_only"),
        "20210531082538-RCNX0031.JPG": ("2021-04-11T20:43:09", "exif"),
    }
    assert rows["IMG_20230101_A.jpg"]["camera_time"] == "2023-01-01"
    dateless = [row["event"] for row in rows.values() if not row["time"]]
    assert len(dateless) == 1
    assert [row["event"] for row in rows.values()].count(dateless[0]) == 1


def test_case_03_times_that_are_only_in_the_makernote(cases: Path, tmp_path: Path) -> None:
    rows = predicted(cases / "03-time-only-in-the-makernote", tmp_path / "x.csv", "--event-gap", "30m")
    columns = ("time", "time_source", "offset", "make", "serial", "temperature")
    assert {name: tuple(row[column] for column in columns) for name, row in rows.items()} == {
        "hyperfire_hc500.jpg": ("2015-05-07T08:08:31", "makernote", "", "RECONYX", "H500DE01120343", "-5"),
        "hyperfire2.jpg": ("2019-06-28T19:03:58", "exif", "-08:00", "RECONYX", "HLPXEL09019291", "27"),
        "ultrafire.jpg": ("2021-08-09T03:55:47", "exif", "", "RECONYX", "", "15"),
    }


def test_times_of_names_come_and_go_when_tables_are_made_again(cases: Path, tmp_path: Path) -> None:
    rows = predicted(cases / "02-time-only-in-the-file-name", tmp_path / "x.csv", "--time-from", "name")
    assert sum(row["time_source"] == "name" for row in rows.values()) == 6
    for words, count in (([], 4), (["--time-from", "name"], 6)):
        assert main(["convert", str(tmp_path / "x.csv"), *words]) == 0
        assert sum(row["time_source"] == "name" for row in table(tmp_path / "x.csv").values()) == count


@pytest.mark.parametrize("name", ["2055.json", "predictions.json", "md.json"])
def test_case_04_going_on_with_a_foreign_json(
    name: str, cases: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = cases / "04-going-on-with-a-foreign-json"
    theirs = (case / name).read_bytes()
    target = put(tmp_path, name, theirs)
    for further in ([], ["--resume"], ["--event-gap", "30m"], ["--event-gap", "30m", "--resume"]):
        assert main(["predict", str(case / "photos"), "-o", str(target), *further]) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert name in lines[0]
        assert "give another --output" in lines[0]
        assert [path.name for path in tmp_path.iterdir()] == [name]
        assert target.read_bytes() == theirs
    assert main(["predict", str(case / "photos"), "-o", str(target), "--overwrite", "-q"]) == 0
    assert len(json.loads(target.read_text(encoding="utf-8"))) == 2


NAMES = (
    "Banteng_ទន្សោង/ទន្សោង.jpg",
    "Фотоловушка №3/а.jpg",
    "ヒグマ/ヒグマ.jpg",
    "Ae\u0301tes NFD/e\u0301.jpg",
    "emoji 🦊/🦊.jpg",
    'quote\'s "and" comma, tab\t/x.jpg',
    "=cmd|calc/=1+1.jpg",
    "-dash/-n.jpg",
    "percent%20space/%2F.jpg",
)
LATIN_1 = os.fsdecode("été/été.jpg".encode("latin-1"))


def test_case_05_names_in_every_alphabet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "cards"
    try:
        for name in (*NAMES, LATIN_1):
            put(folder, name, taken(START, name.encode("utf-8", "replace").hex()))
    except OSError:
        pytest.skip("this file system does not take every name")
    wanted = {*NAMES, r"\xe9t\xe9/\xe9t\xe9.jpg"}
    options = ["--event-gap", "30m", "--sort-into", str(tmp_path / "sorted"), "--keep-folders"]
    rows = predicted(folder, tmp_path / "x.csv", *options)
    assert {name.removeprefix("./") for name in rows} == wanted
    assert {row["time"] for row in rows.values()} == {"2026-05-01T12:00:00"}
    with (tmp_path / "x.events.csv").open(encoding="utf-8", newline="") as file:
        events = list(csv.DictReader(file))
    assert len(events) == len(wanted)
    assert {row["best_path"].removeprefix("./") for row in events} == wanted
    assert main(["convert", str(tmp_path / "x.csv"), "-o", str(tmp_path / "x.json")]) == 0
    objects = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))
    assert {row["path"] for row in objects} == wanted
    assert main(["convert", str(tmp_path / "x.csv"), "-o", str(tmp_path / "x.xlsx")]) == 0
    sheet = CalamineWorkbook.from_path(str(tmp_path / "x.xlsx")).get_sheet_by_name("files")
    assert {row[0] for row in sheet.to_python()[1:]} == wanted, "text, and no formula that gives 2"
    copies = [path.relative_to(tmp_path / "sorted").parts[1:] for path in (tmp_path / "sorted").rglob("*.jpg")]
    assert {"/".join(parts) for parts in copies} >= {*NAMES[:3], *NAMES[4:5], *NAMES[7:]}
    assert len(copies) == len(wanted)


def test_case_07_gps_that_is_no_place(cases: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = cases / "07-gps-that-is-no-place"
    rows = predicted(folder, tmp_path / "x.csv", "--event-gap", "30m")
    assert {name: (row["latitude"], row["longitude"]) for name, row in rows.items()} == {
        **dict.fromkeys(rows, ("", "")),
        "south_west.jpg": ("-41.312578", "-174.718522"),
    }
    for station in ("A", "B"):
        put(tmp_path, f"cards/{station}/1.jpg", (folder / "south_west.jpg").read_bytes())
    shared = predicted(tmp_path / "cards", tmp_path / "y.csv", "--event-gap", "30m")
    assert {row["latitude"] for row in shared.values()} == {""}, "two stations are at one place: a constant"


def test_case_10_the_same_name_on_every_card(cases: Path, tmp_path: Path) -> None:
    cards = cases / "10-the-same-name-on-every-card" / "cards"
    options = ["--event-gap", "30m", "--sort-into", str(tmp_path / "sorted")]
    rows = predicted(cards, tmp_path / "x.csv", *options)
    assert len(rows) == 8
    assert {row["deployment"] for row in rows.values()} == {"Station A", "Station B", "Station B (copy)"}
    assert {row["event"].partition("#")[0] for row in rows.values()} == {"Station A", "Station B", "Station B (copy)"}
    assert all(row["event"].startswith(row["deployment"] + "#") for row in rows.values())
    copies = [path.relative_to(tmp_path / "sorted") for path in (tmp_path / "sorted").rglob("*.JPG")]
    assert {"/".join(copy.parts[1:]) for copy in copies} == set(rows), "each below its answer, in its folders"
