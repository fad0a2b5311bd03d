"""Intervals hold the truth as often as they say, whatever is alike among the photos, and never punish a better model.

The simulations are short here; ``nightly`` runs the same with four times as many draws, and so closer bounds.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from animal_classification.evaluation.confidence_intervals import (
    class_weights,
    difference_interval,
    effective_share,
    share_interval,
    wilson,
)

LENGTHS = [400, pytest.param(1600, marks=pytest.mark.nightly)]


def bounds(rounds: int) -> tuple[float, float]:
    """What is promised, 93 to 97%, and three standard errors of a simulation of this length."""
    error = math.sqrt(0.95 * 0.05 / rounds)
    return 0.93 - 3 * error, 0.97 + 3 * error


def units_of(groups: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Groups of very unequal size, about 25 photos each."""
    sizes = np.maximum(1, generator.lognormal(np.log(20), 0.7, groups)).astype(int)
    return np.repeat(np.arange(groups), sizes)


def alike(truth: float, rho: float, units: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.bool_]:
    """Right answers whose probability differs between groups, with intraclass correlation ``rho``."""
    strength = (1 - rho) / rho
    own = generator.beta(truth * strength, (1 - truth) * strength, int(units.max()) + 1)
    return np.asarray(generator.random(len(units)) < own[units])


@pytest.mark.parametrize("groups", [5, 12, 60])
@pytest.mark.parametrize("rounds", LENGTHS)
def test_intervals_hold_the_truth_where_photos_come_in_groups(groups: int, rounds: int) -> None:
    generator = np.random.default_rng(groups)
    held = naive = 0
    for _ in range(rounds):
        truth, rho, units = generator.uniform(0.6, 0.97), generator.uniform(0.02, 0.5), units_of(groups, generator)
        right = alike(truth, rho, units, generator)
        found = share_interval(right, units)
        held += found.low <= truth <= found.high
        apart = share_interval(right, np.arange(len(right)))
        naive += apart.low <= truth <= apart.high
    low, high = bounds(rounds)
    assert low <= held / rounds <= high
    assert naive / rounds < 0.8, "the simulation has something to find"


@pytest.mark.parametrize("n", [20, 60, 300, 2000])
@pytest.mark.parametrize("rounds", [3000, pytest.param(20_000, marks=pytest.mark.nightly)])
def test_intervals_hold_the_truth_where_photos_are_independent(n: int, rounds: int) -> None:
    generator = np.random.default_rng(n)
    truth = generator.uniform(0.5, 0.98, rounds)
    intervals = {k: wilson(k / n, n) for k in range(n + 1)} if n < 2000 else {}
    counts = generator.binomial(n, truth).tolist()
    found = [intervals.get(k) or wilson(k / n, n) for k in counts[: rounds if n < 2000 else 600]]
    held = np.mean([low <= p <= high for (low, high), p in zip(found, truth.tolist(), strict=False)])
    low, high = bounds(len(found))
    assert low <= held <= high


@pytest.mark.parametrize("rounds", LENGTHS)
def test_balanced_accuracy_has_an_interval_that_holds_it(rounds: int) -> None:
    """Classes of 5 to 60 photos that are not equally hard."""
    generator = np.random.default_rng(8)
    held = 0
    for _ in range(rounds):
        targets = np.repeat(np.arange(10), generator.integers(5, 60, 10))
        truth = generator.uniform(0.7, 0.98, 10)
        right = generator.random(len(targets)) < truth[targets]
        found = share_interval(right, np.arange(len(right)), class_weights(targets))
        held += found.low <= truth.mean() <= found.high
    low, high = bounds(rounds)
    assert low <= held / rounds <= high


@pytest.mark.parametrize("groups", [5, 12, 60, 0])
@pytest.mark.parametrize("rounds", LENGTHS)
def test_differences_are_held_at_least_as_often(groups: int, rounds: int) -> None:
    """Two models on the same photos; with few groups, intervals are wider than they need be. 0: 300 photos alone."""
    generator = np.random.default_rng(groups)
    held = 0
    for _ in range(rounds):
        gained, lost = generator.uniform(0.01, 0.12, 2)
        units = units_of(groups, generator) if groups else np.arange(300)
        strength = 1 / generator.uniform(0.02, 0.4) - 1 if groups else 1e6
        shares = generator.dirichlet(np.array([gained, lost, 1 - gained - lost]) * strength, int(units.max()) + 1)
        edges, drawn = np.cumsum(shares, axis=1)[units], generator.random(len(units))
        first, second = drawn < edges[:, 0], (drawn >= edges[:, 0]) & (drawn < edges[:, 1])
        found = difference_interval(first, second, units)
        held += found.low <= gained - lost <= found.high
    assert held / rounds >= bounds(rounds)[0]


@settings(max_examples=30)
@given(st.integers(1, 3000), st.data())
def test_one_more_right_photo_never_lowers_an_end(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n - 1))
    assert np.all(np.subtract(wilson((k + 1) / n, n), wilson(k / n, n)) >= -1e-12)


@pytest.mark.parametrize("n", [1, 2, 10, 30])
def test_every_step_up_to_faultless_counts(n: int) -> None:
    """29 of 30 had a higher low end than 30 of 30."""
    lows = [share_interval(np.arange(n) < k, np.arange(n)).low for k in range(n + 1)]
    assert lows == sorted(lows)
    assert lows[-1] == max(lows)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 30)), min_size=1, max_size=20))
def test_in_groups_a_faultless_model_has_the_highest_ends(groups: list[tuple[int, int]]) -> None:
    units = np.repeat(np.arange(len(groups)), [size for _, size in groups])
    right = np.concatenate([np.arange(size) < hits for hits, size in groups])
    some, all_, none = (share_interval(one, units) for one in (right, right | True, right & False))
    assert none.low == 0
    assert all_.high == 1
    assert some.low <= all_.low + 1e-9
    assert some.high >= none.high - 1e-9
    assert some.low <= some.value <= some.high
    mirrored = share_interval(~right, units)
    assert mirrored.low == pytest.approx(1 - some.high, abs=1e-9), "wrong is the mirror of right"


@pytest.mark.parametrize("n", [3, 12, 49, 1000])
def test_all_is_all(n: int) -> None:
    """And not 0.9999999999999999."""
    assert share_interval(np.repeat(True, n), np.arange(n)).value == 1.0
    weights = class_weights(np.arange(n) % 3)
    assert share_interval(np.repeat(True, n), np.arange(n), weights).value == 1.0
    assert share_interval(np.arange(n) < 3, np.arange(n)).value == 3 / n


def test_few_groups_say_little_and_are_said_to() -> None:
    one = share_interval(np.repeat(True, 200), np.zeros(200, dtype=int))
    five = share_interval(np.repeat(True, 200), np.repeat(np.arange(5), 40))
    alone = share_interval(np.repeat(True, 200), np.arange(200))
    assert one.low < 0.6 < five.low < 0.85 < alone.low


def test_copies_of_a_picture_count_as_little_more_than_one() -> None:
    """Twenty pictures, each fifty times: all copies alike."""
    units = np.repeat(np.arange(20), 50)
    right = units < 17
    assert 20 <= len(units) * effective_share(right, units) < 30
    found, single = share_interval(right, units), wilson(17 / 20, 20)
    assert (found.low, found.high) == pytest.approx(single, abs=0.03)


@pytest.mark.parametrize(("k", "n", "ends"), [(81, 263, (0.2553, 0.3662)), (0, 20, (0, 0.1611)), (0, 0, (0, 1))])
def test_known_intervals(k: int, n: int, ends: tuple[float, float]) -> None:
    """From Newcombe 1998, table I, score without continuity correction."""
    assert wilson(k / max(n, 1), n) == pytest.approx(ends, abs=5e-5)


def test_models_that_never_differ_are_not_proved_equal() -> None:
    right = np.repeat(True, 20)
    few = difference_interval(right, right, np.arange(20))
    assert few.value == 0
    assert -0.2 < few.low < -0.05 < 0.05 < few.high < 0.2


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(1, 80), st.integers(1, 6))
def test_balanced_accuracy_is_the_mean_of_recalls(seed: int, n: int, classes: int) -> None:
    generator = np.random.default_rng(seed)
    targets, right = generator.integers(0, classes, n), generator.random(n) < 0.6
    recalls = [right[targets == number].mean() for number in set(targets.tolist())]
    found = share_interval(right, np.arange(n), class_weights(targets))
    assert found.value == pytest.approx(np.mean(recalls), abs=1e-9)
    assert 0 <= found.low <= found.value <= found.high <= 1
