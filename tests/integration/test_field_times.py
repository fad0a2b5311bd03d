"""Cases from public reports that are about times, places, names and deployments: what the field rooms answer to each.

The folders are those of ``field_cases``; each README says what other programs did and what is right.
"""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path

import pytest

from animal_classification.cli.main import main
from animal_classification.data.discovery import PhotoPaths
from animal_classification.field.deployment import Deployments
from animal_classification.field.events import TimedFile, group_into_events
from animal_classification.field.gps_position import shared_positions
from animal_classification.field.photo_facts import PhotoFacts, read_photo_facts
from tests.support.trail_photos import NAMES, RULES, put, taken

ALPHABETS = (
    "Banteng_ទន្សោង",
    "Фотоловушка №3",
    "ヒグマ",
    "Ae\u0301tes NFD",
    "emoji 🦊",
    'quote\'s "and" comma, tab',
    "=cmd|calc",
    "-dash",
    "percent%20space",
)


def facts_of(folder: Path, rules: object = RULES) -> dict[str, PhotoFacts]:
    paths = PhotoPaths([str(folder)])
    return {photo.name: read_photo_facts(photo.path, photo.name, rules) for photo in paths.walk()}  # type: ignore[arg-type]


@pytest.fixture
def cases(photos_dir: Path) -> Path:
    return photos_dir / "field_cases"


def test_case_02_times_that_are_only_in_names(cases: Path) -> None:
    tactacam = {
        "016719001060737-28-4-01062026143715-SYFW00012.jpg": datetime(2026, 1, 6, 14, 37, 15),
        "016719001060737-58-3-02202026094914-SYFW00175.jpg": datetime(2026, 2, 20, 9, 49, 14),
        "016719001004974-0-4-07152026090412-SYFW00693.jpg": datetime(2026, 7, 15, 9, 4, 12),
        "016719001004974-47-3-08142026144020-SYFW00787.jpg": datetime(2026, 8, 14, 14, 40, 20),
    }
    others = {
        "AABP 13_20051007_1205.jpg": datetime(2005, 10, 7, 12, 5),
        "20251112_100312.jpg": datetime(2025, 11, 12, 10, 3, 12),
    }
    heron = "20210531082538-RCNX0031.JPG"
    always = facts_of(cases / "02-time-only-in-the-file-name")
    asked = facts_of(cases / "02-time-only-in-the-file-name", NAMES)
    for name, moment in tactacam.items():
        assert (always[name].time, always[name].time_source) == (moment, "name")
    for name, moment in others.items():
        assert (always[name].time, always[name].time_source) == (None, "")
        assert (asked[name].time, asked[name].time_source) == (moment, "name")
    day = asked["IMG_20230101_A.jpg"]
    assert (day.time, day.time_source, day.camera_time) == (None, "date_only", "2023-01-01")
    for found in (always[heron], asked[heron]):
        assert (found.time, found.time_source) == (datetime(2021, 4, 11, 20, 43, 9), "exif")


def test_case_03_times_that_are_only_in_the_makernote(cases: Path) -> None:
    found = facts_of(cases / "03-time-only-in-the-makernote")
    old = found["hyperfire_hc500.jpg"]
    assert (old.time, old.time_source, old.make) == (datetime(2015, 5, 7, 8, 8, 31), "makernote", "RECONYX")
    assert (old.event_number, old.sequence, old.sequence_length, old.temperature) == (7, 4, 5, -5)
    assert (old.camera_label, old.serial) == ("CCPF DS02", "H500DE01120343")
    new = found["hyperfire2.jpg"]
    assert (new.time, new.offset, new.camera_label) == (datetime(2019, 6, 28, 19, 3, 58), "-08:00", "R50")
    assert (new.event_number, new.sequence, new.sequence_length, new.temperature) == (238, 1, 3, 27)
    ultra = found["ultrafire.jpg"]
    assert (ultra.time, ultra.event_number, ultra.temperature) == (datetime(2021, 8, 9, 3, 55, 47), 12, 15)
    assert (ultra.sequence, ultra.sequence_length) == (1, 1)


def test_case_05_names_in_every_alphabet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "cards"
    special = {"=cmd|calc": "=1+1.jpg", "-dash": "-n.jpg", "percent%20space": "%2F.jpg"}
    for name in ALPHABETS:
        put(folder, f"{name}/{special.get(name, name + '.jpg')}", taken(datetime(2026, 5, 1, 12), name))
    summer = os.fsdecode("été".encode("latin-1"))
    try:
        put(folder, f"{summer}/{summer}.jpg", taken(datetime(2026, 5, 1, 12)))
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    found = facts_of(folder)
    assert len(found) == len(ALPHABETS) + 1
    assert all(facts.time == datetime(2026, 5, 1, 12) for facts in found.values())
    assert r"\xe9t\xe9/\xe9t\xe9.jpg" in found
    deployments = {Deployments().of(name) for name in found}
    assert deployments == {*ALPHABETS, r"\xe9t\xe9"}
    for name, facts in found.items():
        assert group_into_events(Deployments().of(name), [TimedFile(name, facts.time)]).keys() == {name}
    for ending in (".json", ".csv"):
        assert main(["cards", str(folder), "-o", str(tmp_path / f"cards{ending}"), "--json"]) == 0
        rows = json.loads(capsys.readouterr().out)["deployments"]
        assert {row["deployment"] for row in rows} == deployments
        text = (tmp_path / f"cards{ending}").read_text(encoding="utf-8")
        assert all(name in text for name in ("ទន្សោង", "Фотоловушка", "ヒグマ", "🦊"))


def test_case_07_gps_that_is_no_place(cases: Path) -> None:
    found = facts_of(cases / "07-gps-that-is-no-place")
    assert len(found) == 6
    assert found.pop("south_west.jpg").position == (-41.312578, -174.718522)
    assert {facts.position for facts in found.values()} == {None}
    place = (-41.312578, -174.718522)
    assert shared_positions([("A", place), ("B", place)]) == {place}


def test_case_10_events_never_cross_deployments(cases: Path) -> None:
    found = facts_of(cases / "10-the-same-name-on-every-card" / "cards")
    assert len(found) == 8
    by_deployment: dict[str, list[TimedFile]] = {}
    for name, facts in found.items():
        by_deployment.setdefault(Deployments().of(name), []).append(TimedFile(name, facts.time))
    assert set(by_deployment) == {"Station A", "Station B", "Station B (copy)"}
    events = [
        {place.event for place in group_into_events(name, files).values()} for name, files in by_deployment.items()
    ]
    assert [len(names) for names in events] == [2, 1, 1]
    assert len(set().union(*events)) == 4
