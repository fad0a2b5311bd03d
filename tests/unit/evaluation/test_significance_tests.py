"""Claims are wrong no more often than they say: which of two models is better, and where a model is weaker."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animal_classification.data.manifest import ManifestRow
from animal_classification.evaluation.eval_set import Units
from animal_classification.evaluation.model_comparison import finding
from animal_classification.evaluation.result import Interval
from animal_classification.evaluation.significance_tests import holm, sign_flip_p_value, weaker_p_value
from animal_classification.evaluation.slices import slices


@settings(max_examples=60)
@given(st.integers(0, 200), st.integers(0, 200))
def test_of_independent_photos_it_is_the_exact_binomial_test(first: int, second: int) -> None:
    """McNemar's."""
    stats = pytest.importorskip("scipy.stats")
    expected = stats.binomtest(first, first + second, 0.5).pvalue if first + second else 1.0
    mine = np.arange(first + second + 3) < first
    others = ~mine & (np.arange(len(mine)) < first + second)
    assert sign_flip_p_value(mine, others, np.arange(len(mine))) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(-4, 4), st.integers(0, 3)), min_size=1, max_size=9))
def test_of_units_it_counts_all_ways_of_turning_signs(groups: list[tuple[int, int]]) -> None:
    first, second, units = [], [], []
    for number, (gain, same) in enumerate(groups):
        first += [gain > 0] * abs(gain) + [True] * same
        second += [gain < 0] * abs(gain) + [True] * same
        units += [number] * (abs(gain) + same)
    gains = [gain for gain, _ in groups]
    ways = [
        abs(sum(gain if ways >> place & 1 else -gain for place, gain in enumerate(gains))) >= abs(sum(gains))
        for ways in range(2 ** len(gains))
    ]
    found = sign_flip_p_value(np.array(first, bool), np.array(second, bool), np.array(units))
    assert found == pytest.approx(np.mean(ways), abs=1e-9)


def test_twenty_copies_of_one_picture_prove_nothing() -> None:
    """They were p = 1.9e-06, beside the words that chance explains it."""
    right, wrong = np.repeat(True, 20), np.repeat(False, 20)
    assert sign_flip_p_value(right, wrong, np.zeros(20, dtype=int)) == 1.0
    assert sign_flip_p_value(right, wrong, np.arange(20)) == pytest.approx(2 / 2**20)


@pytest.mark.parametrize("rounds", [400, pytest.param(3000, marks=pytest.mark.nightly)])
def test_of_two_equal_models_one_is_called_better_in_five_percent_at_most(rounds: int) -> None:
    generator = np.random.default_rng(4)
    wrong = 0
    for _ in range(rounds):
        units = np.repeat(np.arange(40), generator.integers(1, 12, 40))
        hard = generator.beta(8, 1, (2, 40))  # both are as good, each on animals of its own
        first, second = (generator.random(len(units)) < one[units] for one in hard)
        wrong += sign_flip_p_value(first, second, units) < 0.05
    assert wrong / rounds <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / rounds)


def test_words_and_numbers_agree() -> None:
    sure, unsure = Interval(value=0.1, low=0.05, high=0.15), Interval(value=0.1, low=-0.05, high=0.25)
    assert finding(sure, 0.001, "b") == "better than b"
    assert finding(unsure, 0.4, "b") == "no difference that chance does not explain"
    assert finding(unsure, 0.01, "b") == finding(sure, 0.2, "b") == "perhaps better than b"


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(4, 60))
def test_a_part_is_held_against_the_others_by_fishers_test(seed: int, n: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    generator = np.random.default_rng(seed)
    right, here = generator.random(n) < 0.7, np.arange(n) < n // 3
    table = [[int((~right & here).sum()), int((right & here).sum())], [0, 0]]
    table[1] = [int((~right & ~here).sum()), int((right & ~here).sum())]
    expected = stats.fisher_exact(table, alternative="greater").pvalue
    assert weaker_p_value(right, here, np.arange(n)) == pytest.approx(expected, abs=1e-9)


def test_holm_goes_on_until_one_fails() -> None:
    assert holm([0.01, 0.04, 0.013, 0.5]) == [True, False, True, False]
    assert holm([0.04]) == [True]
    assert holm([0.026, 0.026]) == [False, False]
    assert holm([]) == []


def drawn(generator: np.random.Generator, groups: int) -> tuple[list[ManifestRow], Units]:
    """Photos of some sites, some of them copies of one another."""
    count = 25 * groups
    sites = generator.integers(0, groups, count)
    rows = [
        ManifestRow(
            path=f"{number}.jpg", label="cat", group=f"site {sites[number]}", width=300 + number % 7, height=400
        )
        for number in range(count)
    ]
    pictures = np.arange(count)
    pictures[1:] = np.where(generator.random(count - 1) < 0.1, pictures[:-1], pictures[1:])
    return rows, Units(all=sites.astype(np.int64), pictures=pictures.astype(np.int64))


@pytest.mark.slow
@pytest.mark.parametrize("groups", [5, 12])
@pytest.mark.parametrize("rounds", [60, pytest.param(400, marks=pytest.mark.nightly)])
def test_where_all_parts_are_equal_few_reports_call_one_weaker(groups: int, rounds: int) -> None:
    """5 of 12 equal sites were "surely weaker" in one report."""
    generator = np.random.default_rng(groups)
    wrong = 0
    for _ in range(rounds):
        rows, units = drawn(generator, groups)
        right = (generator.random(len(rows)) < generator.uniform(0.7, 0.97))[units.pictures]
        found = slices(rows, right, np.ones(len(rows)), generator.uniform(0, 255, len(rows)), units)
        assert len([one for one in found if one.by == "group"]) == groups
        wrong += any(one.weaker for one in found)
    assert wrong / rounds <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / rounds)


def test_a_site_where_half_is_wrong_is_found() -> None:
    generator = np.random.default_rng(2)
    rows, units = drawn(generator, 12)
    bad = np.array([row.group == "site 3" for row in rows])
    right = generator.random(len(rows)) < np.where(bad, 0.5, 0.95)
    found = slices(rows, right, np.ones(len(rows)), np.zeros(len(rows)), units)
    assert [one.name for one in found if one.weaker] == ["site 3"]
    site = next(one for one in found if one.name == "site 3")
    assert site.accuracy.low < site.accuracy.value < site.accuracy.high, "within a group there are many observations"
    assert site.units > 10
