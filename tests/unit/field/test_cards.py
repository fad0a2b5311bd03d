"""What is found on memory cards, from made-up cards whose faults are known."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from animal_classification.cli.card_table import card_lines, write_report
from animal_classification.data.discovery import PhotoPaths
from animal_classification.field.camera_clock import TimeRules
from animal_classification.field.card_report import COLUMNS, CardsCheck, CardsReport
from animal_classification.field.card_scan import fingerprint
from animal_classification.field.deployment import Deployments
from animal_classification.field.deployment_sheet import read_deployments
from tests.support.trail_photos import NAMES, RULES, hyperfire, jpeg, put, taken

START = datetime(2026, 5, 1, 12)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def look(folder: Path, rules: TimeRules = RULES, sheet: Deployments | None = None) -> CardsReport:
    return CardsCheck(rules, sheet or Deployments(), threads=2).run(PhotoPaths([str(folder)], all_files=True).walk())


def told(report: CardsReport, deployment: str = "A") -> list[str]:
    return [warning.message for warning in report.warnings if warning.deployment == deployment]


def station(folder: Path, *moments: datetime, name: str = "A") -> None:
    """A card with a photo of each moment, every one another picture."""
    for number, moment in enumerate(moments, start=1):
        data = taken(moment, f"{name} {number}")
        put(folder, f"{name}/DCIM/100EK113/IMAG{number:04d}.JPG", data)


def test_counts_times_and_the_longest_gap(tmp_path: Path) -> None:
    station(tmp_path, START, START + DAY, START + 6 * DAY)
    put(tmp_path, "A/DCIM/100EK113/IMAG0009.AVI", b"RIFF....AVI ")
    for name in ("A/notes.txt", "A/DCIM/index.txt", "A/Thumbs"):
        put(tmp_path, name, b"text")
    (row,) = look(tmp_path).rows()
    assert tuple(row) == COLUMNS
    assert (row["deployment"], row["photos"], row["videos"], row["days"]) == ("A", 3, 1, 7)
    assert (row["first"], row["last"]) == ("2026-05-01T12:00:00", "2026-05-07T12:00:00")
    assert (row["longest_gap_hours"], row["longest_gap_start"]) == (120.0, "2026-05-02T12:00:00")
    assert row["other_files"] == {".txt": 2, "none": 1}
    assert row["warnings"] == []


def test_clocks_that_are_wrong(tmp_path: Path) -> None:
    station(tmp_path, START, START + 2 * HOUR, START + HOUR, datetime(2031, 1, 1), datetime(2001, 1, 1))
    put(tmp_path, "A/DCIM/100EK113/IMAG0006.JPG", jpeg())
    put(tmp_path, "A/DCIM/100EK113/IMAG0007.JPG", jpeg(exif={0x9003: "0000:00:00 00:00:00"}, picture="009"))
    report = look(tmp_path)
    (row,) = report.rows()
    assert (row["dateless"], row["no_moment"], row["future"], row["before_2010"], row["backwards"]) == (1, 1, 1, 1, 2)
    assert (row["first"], row["last"]) == ("2026-05-01T12:00:00", "2026-05-01T14:00:00"), "not from the lost clock"
    assert told(report) == [
        "1 photo without a time",
        "1 file with zeros or nonsense for a time: the clock was never set",
        "1 file from the future: the clock is wrong",
        "1 file from before 2010: the clock began anew (new batteries?)",
        "time runs backwards in the order of names: 2 times, first from 2026-05-01 14:00 to 2026-05-01 13:00 at "
        "'A/DCIM/100EK113/IMAG0003.JPG'",
    ]


def test_a_second_or_two_are_no_clock_that_runs_backwards(tmp_path: Path) -> None:
    station(tmp_path, START + timedelta(seconds=2), START)
    assert told(look(tmp_path)) == []


def test_an_old_study_is_not_a_lost_clock(tmp_path: Path) -> None:
    put(tmp_path, "A/AABP 13_20051007_1205.jpg", jpeg())
    put(tmp_path, "B/AABP 13_20051007_1205.jpg", jpeg(picture="111"))
    sheet = put(tmp_path, "sheet.csv", b"deploymentID,deploymentStart\nB,2005-10-01\n")
    assert told(look(tmp_path)) == ["1 photo without a time; if the names hold it: --time-from name"]
    report = look(tmp_path, NAMES, read_deployments(sheet))
    assert told(report) == ["1 file from before 2010: old photos, or a clock that was never set?"]
    assert told(report, "B") == []


def test_copied_cards_are_found_even_under_other_times(tmp_path: Path) -> None:
    station(tmp_path, START, START + HOUR, START + 2 * HOUR)
    for number in (1, 2, 3):
        data = (tmp_path / f"A/DCIM/100EK113/IMAG{number:04d}.JPG").read_bytes()
        put(tmp_path, f"B/DCIM/100EK113/IMAG{number:04d}.JPG", data)
        put(tmp_path, f"C/{number}.JPG", taken(START + 9 * DAY, f"A {number}"))
    report = look(tmp_path)
    assert told(report, "B") == ["3 photos with the same content as in 'A': the same card, copied twice?"]
    other_times = "3 photos with the same content as in 'A', under other times: the same card, copied twice?"
    assert other_times in told(report, "C")
    assert {row["deployment"]: row["copies"] for row in report.rows()} == {"A": 3, "B": 3, "C": 3}


def test_one_picture_in_common_is_no_copied_card(tmp_path: Path) -> None:
    station(tmp_path, START, START + HOUR, START + 2 * HOUR)
    station(tmp_path, START + 3 * HOUR, START + 4 * HOUR, name="BB")
    put(tmp_path, "BB/0.JPG", (tmp_path / "A/DCIM/100EK113/IMAG0001.JPG").read_bytes())
    put(tmp_path, "A/y.JPG", (tmp_path / "A/DCIM/100EK113/IMAG0002.JPG").read_bytes())
    report = look(tmp_path)
    assert told(report, "BB") == ["1 photo with the same content as in 'A'"], "a third of the smaller card"
    assert "1 picture there twice" in told(report)


def test_files_that_begin_alike_and_end_otherwise_are_no_copies(tmp_path: Path) -> None:
    start = taken(START) + bytes(100_000)
    put(tmp_path, "A/1.JPG", start + b"one")
    put(tmp_path, "A/2.JPG", start + b"two")
    assert fingerprint(start[:70_000], len(start) + 3) == fingerprint((start + b"one")[:70_000], len(start) + 3)
    assert look(tmp_path).copies.within == {}


def test_empty_files_and_several_cameras(tmp_path: Path) -> None:
    put(tmp_path, "A/1.JPG", b"")
    put(tmp_path, "A/2.MP4", b"")
    put(tmp_path, "A/3.JPG", jpeg(exif={0x927C: hyperfire(START)}))
    put(tmp_path, "A/4.JPG", jpeg({0x010F: "BUSHNELL"}, exif={0x9003: "2026:05:01 13:00:00"}, picture="123"))
    report = look(tmp_path)
    assert "2 files of 0 bytes: a full or failing card" in told(report)
    assert "photos of 2 cameras: BUSHNELL, RECONYX H500DE01120343" in told(report)
    assert report.copies.within == {}, "empty files are no copies of each other"


def test_a_camera_is_not_in_two_places_at_once(tmp_path: Path) -> None:
    for name, serial, days in (("A", "S1", (0, 9)), ("B", "S1", (5, 12)), ("C", "S1", (20, 30)), ("D", "S2", (0, 9))):
        for day in days:
            moment = START + day * DAY
            put(tmp_path, f"{name}/{day:02d}.JPG", taken(moment, f"{name}{day}", xA431=serial))
    report = look(tmp_path)
    assert told(report, "B") == ["its camera S1 was in 'A' at the same time: a card in the wrong folder?"]
    assert [warning.deployment for warning in report.warnings] == ["B"]


def test_the_bar_of_other_programs(tmp_path: Path) -> None:
    station(tmp_path, *[START + number * timedelta(minutes=5) for number in range(60)])
    station(tmp_path, *[START + number * timedelta(seconds=60) for number in range(101)], name="BB")
    sheet = put(tmp_path, "sheet.csv", b"deploymentID,deploymentEnd\nA,2026-05-23\nBB,2026-05-22\nC,2026-05-22\n")
    report = look(tmp_path, sheet=read_deployments(sheet))
    night = "none of 60 pictures is of the night: the clock may be 12 hours off, or the flash broken"
    assert told(report) == ["no picture in the last 21 days before its end: batteries or card full?", night]
    assert told(report, "BB")[0] == "101 pictures a day: grass in the wind, or a time lapse?"
    assert told(report, "") == ["sheet, row 4: no file is in 'C'"]


def test_the_sheet_puts_clocks_right_and_tells_what_is_outside_of_it(tmp_path: Path) -> None:
    station(tmp_path, datetime(2001, 1, 1), datetime(2001, 1, 2))
    put(tmp_path, "elsewhere/1.JPG", jpeg(picture="777"))
    rows = "deploymentID,deploymentStart,cameraTime,actualTime\nA,2026-05-02,2001-01-01 00:00:00,2026-05-01 12:00:00\n"
    report = look(tmp_path, sheet=read_deployments(put(tmp_path, "sheet.csv", rows.encode())))
    row = next(report.rows())
    assert (row["first"], row["last"]) == ("2026-05-01T12:00:00", "2026-05-02T12:00:00")
    outside = "1 file outside of deploymentStart and deploymentEnd: a wrong clock, or a wrong row?"
    assert told(report) == [outside]
    assert told(report, "") == ["1 file in no deployment of the sheet: 'elsewhere'"]


def test_the_screen_fits_a_narrow_terminal_and_shows_no_control_characters(tmp_path: Path) -> None:
    long = "a long name of a station far to the north, which is written down in full"
    station(tmp_path, START, START + DAY, name=long)
    station(tmp_path, START, name="ヒグマ\x1b[31m")
    put(tmp_path, f"{long}/copy.JPG", (tmp_path / f"{long}/DCIM/100EK113/IMAG0001.JPG").read_bytes())
    put(tmp_path, f"{long}/1.JPG", jpeg(picture="1"))
    lines = list(card_lines(look(tmp_path), width=80))
    assert max(map(len, lines)) <= 80
    head, first, second, *_ = lines
    assert head.split() == ["deployment", "photos", "videos", "first", "last", "days", "longest", "gap"]
    assert "written down in full" in first
    assert "\\x1b[31m" in second


def test_a_table_that_excel_opens_runs_nothing(tmp_path: Path) -> None:
    station(tmp_path / "cards", START, name="=cmd|calc")
    write_report(look(tmp_path / "cards"), tmp_path / "cards.csv")
    head, row = (tmp_path / "cards.csv").read_text(encoding="utf-8").splitlines()
    assert head == ",".join(COLUMNS)
    assert row.startswith("'=cmd|calc,1,0,2026-05-01T12:00:00,")
    write_report(look(tmp_path / "cards"), tmp_path / "cards.json")
    assert json.loads((tmp_path / "cards.json").read_text(encoding="utf-8"))["deployments"][0]["photos"] == 1


@pytest.mark.parametrize(("end", "outside"), [("2026-05-01", 0), ("2026-05-01 00:30:00", 1), ("2026-04-30", 1)])
def test_a_day_in_the_sheet_is_all_of_that_day(tmp_path: Path, end: str, outside: int) -> None:
    """The photos of the day on which the camera was fetched are within the deployment."""
    station(tmp_path, datetime(2026, 5, 1, 12))
    sheet = put(tmp_path, "sheet.csv", f"deploymentID,deploymentStart,deploymentEnd\nA,2026-04-30,{end}\n".encode())
    said = told(look(tmp_path, sheet=read_deployments(sheet)))
    assert len([line for line in said if "outside of deploymentStart" in line]) == outside
