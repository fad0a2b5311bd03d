"""Durations, shifts and time zones."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animal_classification.errors import UsageError
from animal_classification.field.camera_clock import ClockShifts, parse_offset, parse_time, time_text
from animal_classification.field.duration import duration_text, parse_duration
from animal_classification.field.time_zones import ZonedTimes, parse_zone

BRUSSELS = parse_zone("Europe/Brussels", "--timezone")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("45s", 45),
        ("30m", 1800),
        ("1h30m", 5400),
        ("-1h", -3600),
        ("−1h", -3600),
        ("+365d", 31_536_000),
        ("0", 0),
        ("1.5h", 5400),
    ],
)
def test_durations(text: str, seconds: int) -> None:
    assert parse_duration(text, "--shift") == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "30", "half an hour", "1y", "--1h", "1h-30m", "99999999d", "1e9d"])
def test_what_is_no_duration_is_said_in_one_line(text: str) -> None:
    with pytest.raises(UsageError, match=r"^--event-gap: .*(45s|century)"):
        parse_duration(text, "--event-gap")


@given(st.integers(-(10**7), 10**7))
def test_two_units_of_a_duration_are_near_it(seconds: int) -> None:
    length = timedelta(seconds=seconds)
    assert abs(parse_duration(duration_text(length), "x") - length) <= max(abs(length) / 24, timedelta(0))


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)))
def test_times_are_read_back_to_the_millisecond(moment: datetime) -> None:
    written = parse_time(time_text(moment))
    assert written == moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def test_the_nearest_rule_shifts() -> None:
    shifts = ClockShifts.parse(["+1h", "Station A=-2h", "a=b=3m"])
    assert shifts.of("Station A", sheet=timedelta(hours=5)) == timedelta(hours=-2)
    assert shifts.of("B", sheet=timedelta(hours=5)) == timedelta(hours=5)
    assert shifts.of("B") == timedelta(hours=1)
    assert shifts.of("a=b") == timedelta(minutes=3)
    assert ClockShifts().of("B") == timedelta(0)
    assert shifts.unused(["Station A", "B"]) == ["a=b"]


@pytest.mark.parametrize("words", [["1h", "2h"], ["A=1h", "A=2h"], ["A="], ["A=soon"]])
def test_contradictory_shifts_are_refused(words: list[str]) -> None:
    with pytest.raises(UsageError, match=r"^--shift "):
        ClockShifts.parse(words)


def test_offsets() -> None:
    assert [parse_offset(text) for text in ("+0200", "+14:00", "+14:30", "+02:60", "2h")] == [
        "+02:00",
        "+14:00",
        "",
        "",
        "",
    ]


@pytest.mark.parametrize(
    ("moment", "written", "doubtful"),
    [
        (datetime(2021, 4, 11, 20, 43, 9), "2021-04-11T20:43:09+02:00", {}),
        (datetime(2021, 1, 11, 20, 43, 9), "2021-01-11T20:43:09+01:00", {}),
        (datetime(2021, 3, 28, 2, 30), "2021-03-28T02:30:00+01:00", {"skipped": 1}),
        (datetime(2021, 10, 31, 2, 30), "2021-10-31T02:30:00+02:00", {"repeated": 1}),
    ],
)
def test_times_around_a_change_of_clocks_get_the_offset_before_it(
    moment: datetime, written: str, doubtful: dict[str, int]
) -> None:
    times = ZonedTimes()
    assert times.zoned(moment, zone=BRUSSELS) == written
    assert times.doubtful == doubtful


def test_the_files_own_offset_comes_first_and_fractions_are_left_out() -> None:
    moment = datetime(2021, 4, 11, 20, 43, 9, 500_000)
    assert ZonedTimes().zoned(moment, offset="-08:00", zone=BRUSSELS) == "2021-04-11T20:43:09-08:00"
    assert ZonedTimes().zoned(moment) == "2021-04-11T20:43:09"
    assert ZonedTimes().zoned(moment, zone=parse_zone("-03:30", "x")) == "2021-04-11T20:43:09-03:30"


@pytest.mark.parametrize("text", ["Africa/Nairoby", "../etc/passwd", "/etc/localtime", "+25:00", "summer", ""])
def test_what_is_no_zone_is_said(text: str) -> None:
    with pytest.raises(UsageError, match=r"^--timezone: .* is no time zone; write a name such as Africa/Nairobi"):
        parse_zone(text, "--timezone")


def test_the_nearest_zone_is_named() -> None:
    with pytest.raises(UsageError, match="did you mean 'Africa/Nairobi'"):
        parse_zone("Africa/Nairoby", "--timezone")
