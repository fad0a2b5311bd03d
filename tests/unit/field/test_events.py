"""Bursts and events: the rules, and the laws that hold for any files."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animal_classification.field.events import EventPlace, Gaps, TimedFile, group_into_events
from animal_classification.field.photo_facts import read_photo_facts
from tests.support.trail_photos import RULES

START = datetime(2026, 5, 1, 12)


def at(seconds: float, name: str = "", **more: int | bool) -> TimedFile:
    return TimedFile(name or f"{seconds:09.1f}.jpg", START + timedelta(seconds=seconds), **more)  # type: ignore[arg-type]


def bursts(files: Sequence[TimedFile], gaps: Gaps = Gaps()) -> list[str]:
    return [place.burst for place in group_into_events("A", files, gaps).values()]


def test_a_gap_that_is_just_reached_is_still_one() -> None:
    files = [at(0), at(30), at(60.5), at(60.5 + 1800), at(60.5 + 3601)]
    assert bursts(files) == ["A#1.1", "A#1.1", "A#1.2", "A#1.3", "A#2.1"]


def test_no_event_gap_makes_every_burst_an_event() -> None:
    assert bursts([at(0), at(30), at(61)], Gaps(event=timedelta(0))) == ["A#1.1", "A#1.1", "A#2.1"]


def test_a_burst_is_never_longer_than_an_event() -> None:
    assert bursts([at(0), at(20)], Gaps(event=timedelta(seconds=10))) == ["A#1.1", "A#2.1"]


def test_the_cameras_count_joins_and_its_sequence_splits() -> None:
    joined = [at(0, event_number=7, sequence=1), at(90, event_number=7, sequence=2)]
    assert bursts(joined) == ["A#1.1", "A#1.1"]
    assert bursts([at(0, sequence=2), at(3, sequence=3), at(5, sequence=1)]) == ["A#1.1", "A#1.1", "A#1.2"]
    single = [at(0, event_number=1, sequence=1), at(3, event_number=2, sequence=1)]
    assert bursts(single) == ["A#1.1", "A#1.1"], "one photo a trigger is no sequence that begins again"


def test_an_equal_count_after_weeks_joins_nothing() -> None:
    assert bursts([at(0, event_number=1), at(10**6, event_number=1)]) == ["A#1.1", "A#2.1"]


def test_a_video_is_a_burst_of_its_own() -> None:
    assert bursts([at(0), at(1, is_video=True), at(2)]) == ["A#1.1", "A#1.2", "A#1.3"]


def test_files_without_a_time_are_events_of_their_own() -> None:
    files = [TimedFile("b.jpg", None), at(0), TimedFile("a.jpg", None)]
    assert group_into_events("A", files) == {
        files[1].path: EventPlace("A#1", "A#1.1"),
        "a.jpg": EventPlace("A#2", "A#2.1"),
        "b.jpg": EventPlace("A#3", "A#3.1"),
    }


def maybe(low: int, high: int) -> st.SearchStrategy[int | None]:
    return st.none() | st.integers(low, high)


def drawn_files(rows: list[tuple[int | None, int | None, int | None, bool]]) -> list[TimedFile]:
    times = [None if second is None else START + timedelta(seconds=second) for second, *_ in rows]
    return [TimedFile(f"{index:02d}.jpg", time, *rows[index][1:]) for index, time in enumerate(times)]


def seconds(most: int) -> st.SearchStrategy[timedelta]:
    return st.integers(0, most).map(lambda length: timedelta(seconds=length))


FILES = st.lists(st.tuples(maybe(0, 8000), maybe(0, 3), maybe(1, 3), st.booleans()), max_size=40).map(drawn_files)
GAPS = st.builds(Gaps, seconds(200), seconds(4000))


@given(FILES, GAPS, st.randoms(use_true_random=False))
def test_the_order_of_the_files_changes_nothing(files: list[TimedFile], gaps: Gaps, chance: random.Random) -> None:
    shuffled = list(files)
    chance.shuffle(shuffled)
    assert group_into_events("A", shuffled, gaps) == group_into_events("A", files, gaps)


@given(FILES, GAPS)
def test_every_file_is_in_one_event_and_every_burst_within_one(files: list[TimedFile], gaps: Gaps) -> None:
    places = group_into_events("A", files, gaps)
    assert places.keys() == {file.path for file in files}
    event_of_burst: dict[str, str] = {}
    for place in places.values():
        assert event_of_burst.setdefault(place.burst, place.event) == place.event
        assert place.burst.startswith(f"{place.event}.")
    dateless = [places[file.path].event for file in files if file.time is None]
    everywhere = [place.event for place in places.values()]
    assert all(everywhere.count(event) == 1 for event in dateless)


@given(FILES, GAPS)
def test_events_are_parted_by_longer_pauses_and_by_no_shorter_ones(files: list[TimedFile], gaps: Gaps) -> None:
    places = group_into_events("A", files, gaps)
    dated = sorted((file for file in files if file.time), key=lambda file: (file.time or START, file.path))
    for before, file in pairwise(dated):
        assert before.time is not None
        assert file.time is not None
        same = places[before.path].event == places[file.path].event
        if gaps.event:
            assert same == (file.time - before.time <= gaps.event)


@given(FILES, FILES)
def test_no_event_is_in_two_deployments(first: list[TimedFile], second: list[TimedFile]) -> None:
    one, other = group_into_events("A", first), group_into_events("A#1", second)
    assert {place.event for place in one.values()}.isdisjoint(place.event for place in other.values())


@pytest.mark.photos
def test_the_heron_is_one_burst(photos_dir: Path) -> None:
    folder = photos_dir / "field" / "camtrap_dp" / "media"
    files = []
    for path in sorted(folder.iterdir()):
        facts = read_photo_facts(path, path.name, RULES)
        files.append(TimedFile(path.name, facts.time, facts.event_number, facts.sequence))
    assert set(group_into_events("heron", files).values()) == {EventPlace("heron#1", "heron#1.1")}


@pytest.mark.photos
def test_stations_are_divided_as_their_times_say(photos_dir: Path) -> None:
    folder = photos_dir / "field" / "stations" / "StationA"
    files = [TimedFile(path.name, read_photo_facts(path, path.name, RULES).time) for path in sorted(folder.iterdir())]
    places = group_into_events("StationA", files)
    assert len({place.event for place in places.values()}) == 6, "two pairs are two minutes apart"
    assert len({place.burst for place in places.values()}) == 8
