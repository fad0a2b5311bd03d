"""``animals cards`` as a person meets it."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

from animal_classification.cli.main import main
from tests.support.predicting import run
from tests.support.trail_photos import put, taken

NOON = datetime(2021, 5, 1, 12)


@pytest.fixture
def cards(tmp_path: Path) -> Path:
    for number, name in enumerate(("north/DCIM/100EK113/IMAG0001.JPG", "south/DCIM/100EK113/IMAG0001.JPG")):
        put(tmp_path / "cards", name, taken(NOON, str(number)))
    return tmp_path / "cards"


def test_a_process_prints_a_table_and_nothing_else(cards: Path) -> None:
    done = run("cards", cards)
    assert (done.returncode, done.stderr) == (0, b"")
    lines = done.stdout.decode().splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["deployment", "north", "south"]
    assert lines[-2:] == ["2 photos and 0 videos in 2 deployments.", "Nothing to look into."]


def test_a_card_by_itself_is_this_folder(cards: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cards", str(cards / "north")]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("(this folder)       1 ")


def test_json_is_one_object(cards: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cards", str(cards), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["files"], [row["deployment"] for row in found["deployments"]]) == (2, ["north", "south"])


def test_an_existing_file_is_refused_before_anything_is_read(
    cards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = put(tmp_path, "mine.csv", b"a night of work")
    assert main(["cards", str(cards), "-o", str(target)]) == 2
    assert "is there already; give another --output, or --overwrite to replace it" in capsys.readouterr().err
    assert target.read_bytes() == b"a night of work"
    assert main(["cards", str(cards), "-o", str(target), "--overwrite"]) == 0
    assert target.read_text(encoding="utf-8").startswith("deployment,photos,")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-o", "cards.pdf"], "ends in neither .csv nor .json"),
        (["--overwrite"], "--overwrite replaces a file: name it with --output"),
        (["--deployments", "none.csv"], "none.csv"),
        (["--time-from", "exif"], "--time-from"),
    ],
)
def test_a_wrong_call_is_one_line(
    words: list[str], message: str, cards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cards", str(cards), *words]) in (1, 2)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]


def test_cards_without_photos_are_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path, "notes.txt", b"nothing")
    assert main(["cards", str(tmp_path)]) == 1
    assert "no photos and no videos" in capsys.readouterr().err


def test_the_same_name_on_every_card(photos_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Case 10: eight files in three deployments, and a card that was copied twice."""
    assert main(["cards", str(photos_dir / "field_cases" / "10-the-same-name-on-every-card" / "cards"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {row["deployment"]: row["photos"] for row in found["deployments"]} == {
        "Station A": 4,
        "Station B": 2,
        "Station B (copy)": 2,
    }
    copied = {"first": "Station B", "second": "Station B (copy)", "pictures": 2, "times_differ": True}
    assert copied in found["shared_pictures"]
    (line,) = [warning["message"] for warning in found["warnings"] if "copied twice" in warning["message"]]
    assert line.startswith("2 photos with the same content as in 'Station B'")


def test_a_card_that_is_not_there_leaves_yesterdays_table(
    cards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "cards.csv"
    assert main(["cards", str(cards), "-o", str(table)]) == 0
    before = table.read_bytes()
    (tmp_path / "unplugged").mkdir()
    capsys.readouterr()
    assert main(["cards", str(tmp_path / "unplugged"), "-o", str(table), "--overwrite"]) == 1
    printed = capsys.readouterr()
    assert (printed.out, table.read_bytes()) == ("", before)
    assert "no photos and no videos in" in printed.err
