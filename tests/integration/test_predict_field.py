"""``animals predict --detector``, ``--detections`` and ``animals convert``: three tables from one journal."""

from __future__ import annotations

import csv
import json
import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from PIL import Image

from animal_classification.cli.main import main
from animal_classification.predict.field_columns import DETECTION_COLUMNS, FILE_COLUMNS
from animal_classification.predict.table import columns
from tests.support.colour_detector import write_colour_detector
from tests.support.predicting import run, start, wait_for_rows
from tests.support.tiny_bundle import COLOURS, write_tiny_bundle

CAT, DOG, LION = COLOURS[:3]
GREY = (128, 128, 128)
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals")
KILLS = 3


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_colour_detector(tmp_path_factory.mktemp("detector") / "colours", size=160).path


def draw(
    path: Path, background: tuple[int, int, int], *squares: tuple[int, int, int, tuple[int, int, int]], time: str = ""
) -> None:
    image = Image.new("RGB", (400, 300), background)
    for left, top, side, colour in squares:
        image.paste(colour, (left, top, left + side, top + side))
    exif = Image.Exif()
    if time:
        exif.get_ifd(0x8769)[0x9003] = time
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, quality=95, exif=exif)


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cards")
    card = folder / "Station A" / "DCIM" / "100EK113"
    draw(card / "IMAG0001.JPG", LION, (50, 60, 60, CAT), time="2021:04:11 20:43:09")
    draw(card / "IMAG0002.JPG", GREY, (50, 60, 60, CAT), (200, 100, 90, DOG), time="2021:04:11 20:43:11")
    draw(card / "IMAG0003.JPG", LION, time="2021:04:11 23:00:00")
    draw(folder / "Station B" / "IMAG0001.JPG", GREY)
    (folder / "Station B" / "IMAG0002.JPG").write_bytes(b"")
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def predicted(tmp_path: Path, model: Path, detector: Path, cards: Path) -> Path:
    output = tmp_path / "animals.csv"
    assert (
        main(["predict", str(cards), "--model", str(model), "--detector", str(detector), "-o", str(output), "-q"]) == 0
    )
    return output


def test_three_tables_say_what_is_on_the_cards(predicted: Path) -> None:
    found = rows(predicted)
    assert [*found[0]] == [*columns(5), *(column.name for column in FILE_COLUMNS)]
    names = ("answer", "decision", "animals", "persons")
    assert [(row["path"].rpartition("/")[2], *(row[name] for name in names)) for row in found] == [
        ("IMAG0001.JPG", "cat", "label", "1", "0"),
        ("IMAG0002.JPG", "cat", "label", "1", "1"),
        ("IMAG0003.JPG", "lion", "whole_picture", "0", "0"),
        ("IMAG0001.JPG", "blank", "blank", "0", "0"),
        ("IMAG0002.JPG", "", "none", "0", "0"),
    ]
    assert [row["deployment"] for row in found] == ["Station A"] * 3 + ["Station B"] * 2
    assert [row["event"] for row in found[:3]] == ["Station A#1", "Station A#1", "Station A#2"]
    assert found[0]["time"] == "2021-04-11T20:43:09"
    assert [row["blank"] for row in found] == ["false", "false", "false", "true", ""]
    assert found[4]["error"]

    boxes = rows(predicted.with_name("animals.detections.csv"))
    assert [*boxes[0]] == [column.name for column in DETECTION_COLUMNS]
    assert [(box["category"], box["answer"], box["decision"]) for box in boxes] == [
        ("animal", "cat", "label"),
        ("animal", "cat", "label"),
        ("person", "person", "detector"),
    ]
    assert float(boxes[0]["x"]) == pytest.approx(50 / 400, abs=0.005)

    events = rows(predicted.with_name("animals.events.csv"))
    assert [(row["event"], row["category"], row["answer"], row["count"]) for row in events] == [
        ("Station A#1", "animal", "cat", "1"),
        ("Station A#1", "person", "person", "1"),
        ("Station A#2", "animal", "lion", "1"),
        ("Station B#1", "", "blank", "0"),
        ("Station B#2", "", "unreadable", "0"),
    ]


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl", "parquet", "xlsx"])
def test_every_format_can_be_made_again_without_a_model(predicted: Path, tmp_path: Path, ending: str) -> None:
    again = tmp_path / f"again.{ending}"
    assert main(["convert", str(predicted), "-o", str(again)]) == 0
    if ending == "csv":
        for name in ("", ".detections", ".events"):
            assert (tmp_path / f"again{name}.csv").read_bytes() == (tmp_path / f"animals{name}.csv").read_bytes()
    elif ending == "parquet":
        assert duckdb.sql(f"SELECT count(*) FROM '{again}'").fetchall() == [(5,)]
        assert duckdb.sql(f"SELECT sum(count) FROM '{tmp_path}/again.events.parquet'").fetchall() == [(3,)]
    elif ending == "xlsx":
        from python_calamine import CalamineWorkbook

        assert CalamineWorkbook.from_path(str(again)).sheet_names == [
            "files",
            "detections",
            "events",
            "deployments",
            "run",
        ]
    else:
        found = [json.loads(line.rstrip(",")) for line in again.read_text().splitlines() if line.startswith("{")]
        assert [len(row["detections"]) for row in found] == [1, 2, 0, 0, 0]
        assert (tmp_path / f"again.events.{ending}").is_file()


def test_another_threshold_needs_no_model(predicted: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.csv"
    assert main(["convert", str(predicted), "-o", str(again), "--threshold", "0.85"]) == 0
    assert [(row["animals"], row["persons"]) for row in rows(again)][:2] == [("1", "0"), ("1", "0")]
    assert main(["convert", str(predicted), "-o", str(again), "--threshold", "0.95"]) == 0
    first = rows(again)[0]
    assert (first["answer"], first["decision"]) == ("", "none")
    assert first["decision_why"] == "no box reaches 0.95, and the run did not name the whole picture: run again"


def test_a_plain_run_writes_what_it_always_wrote(tmp_path: Path, model: Path, cards: Path) -> None:
    output = tmp_path / "animals.csv"
    assert main(["predict", str(cards), "--model", str(model), "-o", str(output), "-q"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["animals.csv"]
    assert [*rows(output)[0]] == columns(5)


def test_boxes_of_another_program_are_used(
    tmp_path: Path, model: Path, cards: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    found = {
        "info": {"format_version": "1.5", "detector": "md_v5a.0.0"},
        "detection_categories": {"1": "animal", "2": "person", "3": "vehicle"},
        "images": [
            {
                "file": "Station A/DCIM/100EK113/IMAG0001.JPG",
                "detections": [{"category": "1", "conf": 0.8, "bbox": [0.125, 0.2, 0.15, 0.2]}],
            },
            {"file": "Station A/DCIM/100EK113/IMAG0003.JPG", "detections": []},
        ],
    }
    (tmp_path / "md.json").write_text(json.dumps(found))
    output = tmp_path / "animals.csv"
    words = ["predict", str(cards), "--model", str(model), "--detections", str(tmp_path / "md.json"), "-o", str(output)]
    assert main(words) == 0
    table = rows(output)
    assert [row["answer"] for row in table[:3:2]] == ["cat", "lion"]
    assert [row["decision"] for row in table[:3:2]] == ["label", "whole_picture"]
    boxes = rows(tmp_path / "animals.detections.csv")
    assert [(box["detector"], box["confidence"]) for box in boxes] == [("md_v5a.0.0", "0.8")]
    assert "MegaDetector 1.5 of md_v5a.0.0, 2 of 5 files matched" in capfd.readouterr().err


def test_a_table_of_somebody_else_beside_ours_is_not_replaced(
    tmp_path: Path, model: Path, detector: Path, cards: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "animals.events.csv").write_text("my,own,notes\n")
    words = [
        "predict",
        str(cards),
        "--model",
        str(model),
        "--detector",
        str(detector),
        "-o",
        str(tmp_path / "animals.csv"),
    ]
    assert main(words) == 2
    assert "animals.events.csv' is there, and no table of animals predict" in capfd.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["animals.events.csv"]
    assert main([*words, "--overwrite"]) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--detector", "nowhere"], "nowhere: no such detector; name a folder, or one of: animals detectors list"),
        (["--detector", "lite", "--detections", "x"], "--detector finds boxes, --detections brings them: drop one"),
        (["--detect", "unsure"], "--detect unsure saves detector time: add --detector"),
        (["--threshold", "0.5"], "--threshold is of boxes: add --detector or --detections"),
        (["--country", "KEN"], "--country needs the rules of a file: add --geofence FILE"),
        (["--event-gap", "soon"], "--event-gap: 'soon' is no duration"),
    ],
)
def test_contradictions_are_one_line(
    tmp_path: Path, model: Path, cards: Path, capfd: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(["predict", str(cards), "--model", str(model), "-o", str(tmp_path / "a.csv"), *words]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert said in line


def test_without_a_file_the_rows_go_to_the_pipe(
    model: Path, detector: Path, cards: Path, predicted: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    words = ["predict", str(cards), "--model", str(model), "--detector", str(detector)]
    assert main([*words, "-q"]) == 0
    assert capfdbinary.readouterr().out == predicted.read_bytes()
    assert main([*words, "--json"]) == 0
    found = json.loads(capfdbinary.readouterr().out)
    assert (found["photos"], found["events"], found["detections"], found["blank"]) == (5, 4, 3, 1)
    assert [len(row["detections"]) for row in found["predictions"]] == [1, 2, 0, 0, 0]


def many(folder: Path, number: int) -> Iterator[Path]:
    for index in range(number):
        path = folder / f"card{index // 40}" / f"{index:04}.jpg"
        minute, second = divmod(index * 7, 60)
        draw(
            path,
            GREY,
            (20 + index % 200, 60, 50, CAT),
            time=f"2021:04:11 {minute // 60:02}:{minute % 60:02}:{second:02}",
        )
        yield path


@POSIX
@pytest.mark.parametrize("kills", [KILLS, pytest.param(10, marks=pytest.mark.nightly)])
def test_killed_and_gone_on_with_nothing_is_lost_or_doubled(
    tmp_path: Path, model: Path, detector: Path, kills: int
) -> None:
    number = 40 * kills
    assert len(list(many(tmp_path / "cards", number))) == number
    words = ["predict", tmp_path / "cards", "--model", model, "--detector", detector, "--quiet", "--threads", "1"]
    assert run(*words, "-o", tmp_path / "whole.csv").returncode == 0
    output, chance, done = tmp_path / "killed.csv", random.Random(7), 0
    journal = tmp_path / "killed.csv.partial"
    for _ in range(kills):
        with start(*words, "-o", output, *(["--resume"] if journal.exists() else [])) as process:
            done += chance.randrange(3, 30)
            wait_for_rows(journal, done, process)
            process.kill()
    assert run(*words, "-o", output, "--resume").returncode == 0
    for name in ("", ".detections", ".events"):
        assert (tmp_path / f"killed{name}.csv").read_bytes() == (tmp_path / f"whole{name}.csv").read_bytes()


@POSIX
@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_twenty_thousand_files_take_no_more_memory_than_a_thousand(tmp_path: Path, model: Path, detector: Path) -> None:
    for index, path in enumerate(many(tmp_path / "cards", 40)):
        for copy in range(500):
            (path.parent / f"{index:04}-{copy:03}.jpg").hardlink_to(path)
    words = [
        "predict",
        tmp_path / "cards",
        "--model",
        model,
        "--detector",
        detector,
        "--quiet",
        "-o",
        tmp_path / "a.csv",
    ]
    begun = time.monotonic()
    with start(*words) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    wall, cpu = time.monotonic() - begun, usage.ru_utime + usage.ru_stime
    print(f"{peak / 1e6:.0f} MB; {20_040 / wall:.0f} photos a second, {20_040 / cpu:.0f} a CPU second")
    assert process.returncode == 0
    assert peak < 700e6
    assert len(rows(tmp_path / "a.csv")) == 20_040


def test_the_cascade_takes_a_group_for_an_answer(tmp_path: Path, detector: Path) -> None:
    model = write_tiny_bundle(
        tmp_path / "felines", groups={"cat": "feline", "lion": "feline"}, rollup={"threshold": 0.95}
    )
    feline, strange = Image.new("RGB", (400, 300), CAT), Image.new("RGB", (400, 300), CAT)
    feline.paste(LION, (0, 0, 190, 300))  # nearly as much of one as of the other
    strange.paste(DOG, (0, 0, 190, 300))
    (tmp_path / "cards").mkdir()
    feline.save(tmp_path / "cards" / "feline.png")
    strange.save(tmp_path / "cards" / "strange.png")
    words = ["predict", str(tmp_path / "cards"), "--model", str(model), "--detector", str(detector), "-q"]
    assert main([*words, "--detect", "unsure", "-o", str(tmp_path / "a.csv")]) == 0
    kept = (tmp_path / "a.csv.run.jsonl").read_text(encoding="utf-8").splitlines()[1:]
    entries = [json.loads(line) for line in kept]
    assert [entry["evidence"]["searched"] for entry in entries] == [False, True]
    assert rows(tmp_path / "a.csv")[0]["answer"] == "feline"


def test_a_finished_run_goes_on_with_new_photos(
    tmp_path: Path, model: Path, detector: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    draw(tmp_path / "cards" / "1.jpg", LION, (50, 60, 60, CAT))
    output = tmp_path / "a.csv"
    words = ["predict", str(tmp_path / "cards"), "--model", str(model), "-o", str(output), "-q"]
    assert main([*words, "--detector", str(detector)]) == 0
    draw(tmp_path / "cards" / "2.jpg", GREY, (50, 60, 60, CAT))
    assert main([*words, "--resume"]) == 2
    assert "columns" in capfd.readouterr().err
    assert main([*words, "--resume", "--detector", str(detector), "--detect", "unsure"]) == 2
    assert "was begun with --detector colours" in capfd.readouterr().err
    assert (tmp_path / "a.csv.run.jsonl").is_file()  # a refused call leaves everything as it was
    assert not (tmp_path / "a.csv.partial").exists()
    assert main([*words, "--resume", "--detector", str(detector), "--threshold", "0.3"]) == 0
    assert [row["answer"] for row in rows(output)] == ["cat", "cat"]


def test_detectors_can_be_added_listed_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from tests.support.colour_detector import colour_graph

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    graph = tmp_path / "md v1000.onnx"
    metadata = {"names": "{0: 'animal', 1: 'person', 2: 'vehicle'}", "imgsz": "[640, 640]", "task": "detect"}
    graph.write_bytes(colour_graph("end2end", metadata=metadata).SerializeToString())
    assert main(["detectors", "add", str(graph), "--license", "AGPL-3.0", "--json"]) == 0
    added: dict[str, Any] = json.loads(capfd.readouterr().out)
    assert (added["name"], added["kind"], added["input"]["size"]) == ("md-v1000", "end2end", 640)
    assert added["guessed"] == ["size 640", "kind end2end", "categories animal, person, vehicle"]
    assert main(["detectors", "list", "--json"]) == 0
    assert [one["name"] for one in json.loads(capfd.readouterr().out)["detectors"]] == ["lite", "md-v1000"]
    assert main(["detectors", "show", "md-v1000"]) == 0
    assert "license      AGPL-3.0" in capfd.readouterr().out
    assert main(["detectors", "add", str(graph)]) == 2
    assert "is there already" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("kind", "metadata", "said"),
    [
        ("yolov5", {}, "cannot tell what kind of graph this is: add --kind (animals, yolox, yolov5, ultralytics"),
        ("rtdetr", {"names": "{0: 'deer', 1: 'person', 2: 'car'}"}, "the category 'deer'"),
    ],
)
def test_doubt_is_an_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], kind: str, metadata: dict[str, str], said: str
) -> None:
    from tests.support.colour_detector import colour_graph

    graph = tmp_path / "odd.onnx"
    graph.write_bytes(colour_graph(kind, metadata=metadata).SerializeToString())
    assert main(["detectors", "add", str(graph), "--into", str(tmp_path)]) == 2
    assert said in capfd.readouterr().err
    told = ["--kind", kind, "--categories", "animal,person,vehicle"]
    assert main(["detectors", "add", str(graph), "--into", str(tmp_path), *told]) == 0


@pytest.mark.parametrize("damage", ["torn", "middle"])
def test_a_damaged_journal_makes_no_shorter_table(
    predicted: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A copy that was cut short must not take the place of a table that is whole."""
    journal = predicted.with_name("animals.csv.run.jsonl")
    lines = journal.read_bytes().splitlines(keepends=True)
    if damage == "torn":
        journal.write_bytes(b"".join(lines[:3]) + lines[3][:40])
    else:
        journal.write_bytes(b"".join([*lines[:2], b"\0" * len(lines[2]) + b"\n", *lines[3:]]))
    before = {path: path.read_bytes() for path in predicted.parent.glob("animals*.csv")}
    assert main(["convert", str(predicted), "--threshold", "0.3"]) == 1
    assert f"is damaged after {2 if damage == 'torn' else 1} rows" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before


def test_a_threshold_of_nothing_is_a_threshold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(tmp_path), "--threshold", "0", "-o", str(tmp_path / "x.csv")]) == 2
    assert "--threshold is of boxes: add --detector or --detections" in capsys.readouterr().err


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_field_table_is_gone_on_with_as_it_was_begun(
    tmp_path: Path, model: Path, detector: Path, cards: Path, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["predict", str(cards), "--model", str(model), "-o", str(tmp_path / f"animals.{ending}"), "-q"]
    assert main([*words, "--detector", str(detector)]) == 0
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert main([*words, "--resume"]) == 2
    assert "has the columns of --detector, --detections or another option of the field" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_journal_is_never_a_table(predicted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = predicted.with_name("animals.csv.run.jsonl")
    before = journal.read_bytes()
    assert main(["convert", str(predicted), "-o", str(journal), "--overwrite"]) == 2
    assert "is the journal that tables are made from" in capsys.readouterr().err
    assert journal.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "message"),
    [("x.csv", "cannot be made again: no 'x.csv.run.jsonl' beside it"), ("animls.csv", "no such file")],
)
def test_a_table_without_its_journal_says_so(
    predicted: Path, name: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    predicted.with_name("x.csv").write_bytes(predicted.read_bytes())
    assert main(["convert", str(predicted.with_name(name))]) == 2
    assert message in capsys.readouterr().err


def test_a_list_of_names_is_no_file_of_boxes(
    tmp_path: Path, model: Path, cards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With it, every picture was named as a whole, and 0 boxes were told as if somebody had looked."""
    names, output = tmp_path / "t.csv", tmp_path / "x.csv"
    names.write_text("RootFolder,File,RelativePath,Species\ncards,IMAG0001.JPG,Station A,cat\n", encoding="utf-8")
    words = ["predict", str(cards), "--model", str(model), "--detections", str(names), "-o", str(output)]
    assert main(words) == 2
    assert "t.csv: Timelapse without boxes" in capsys.readouterr().err
    assert not output.exists()
