"""Windows made of periods: none twice, none left out, never many."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from animal_classification.prediction_log.periods import DAY, GRAINS, KEPT, MOST_PARTS, Window, periods_of

lengths = st.one_of(st.floats(60, 30 * DAY), st.floats(60, 9999 * 7 * DAY))
moments = st.floats(1.6e9, 4e9)


@given(until=moments, length=lengths, share=st.floats(0, 1))
def test_each_moment_of_a_window_is_in_exactly_one_of_its_periods(until: float, length: float, share: float) -> None:
    window = Window.of(until, length)
    moment = window.since + share * (until - window.since)
    found = [
        (part.seconds, begin)
        for part in window.stretches
        for seconds, begin in periods_of(moment)
        if seconds == part.seconds and part.begin <= begin < part.end
    ]
    assert len(found) == (1 if moment < until else len(found))
    for _, begin in found:
        number = window.part_of(begin)
        assert 0 <= number < len(window.parts)
        assert window.parts[number] <= moment
        assert number + 1 == len(window.parts) or moment < window.parts[number + 1]


@given(until=moments, length=lengths)
def test_a_window_begins_about_where_it_was_asked_to(until: float, length: float) -> None:
    window = Window.of(until, length)
    assert 0 <= (until - length) - window.since <= max(60, length / 100)
    assert len(window.parts) <= MOST_PARTS + 1
    assert window.parts[0] == window.since


@given(until=moments, length=lengths)
def test_no_window_asks_for_periods_that_are_gone(until: float, length: float) -> None:
    for part in Window.of(until, length).stretches:
        assert part.begin >= until - KEPT.get(part.seconds, float("inf"))


@given(until=moments, length=st.floats(60, 90 * DAY))
def test_a_window_is_some_hundred_periods_at_most(until: float, length: float) -> None:
    assert sum((part.end - part.begin) / part.seconds for part in Window.of(until, length).stretches) < 700


def test_a_coarse_period_is_made_of_finer_ones() -> None:
    assert all(coarse % fine == 0 for fine, coarse in itertools.pairwise(GRAINS))
