"""Intervals hold the truth as often as they say; McNemar's test is exact."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animal_classification.evaluation.resampling import bootstrap, mcnemar, mean_of, mean_of_class_means, share_interval


def test_intervals_hold_the_truth_nineteen_times_of_twenty() -> None:
    generator = np.random.default_rng(0)
    n, rate, rounds = 200, 0.85, 300
    held = 0
    for seed in range(rounds):
        interval = bootstrap(mean_of(generator.random(n) < rate), np.arange(n), rounds=600, seed=seed)
        held += interval.low <= rate <= interval.high
    assert 0.91 <= held / rounds <= 0.98


def test_intervals_hold_the_truth_where_photos_come_in_sequences() -> None:
    """Ten frames of each animal, all right or all wrong: the interval must be that of the animals."""
    generator = np.random.default_rng(1)
    animals, frames, rate, rounds = 60, 10, 0.7, 200
    units = np.repeat(np.arange(animals), frames)
    together = apart = 0
    for seed in range(rounds):
        right = np.repeat(generator.random(animals) < rate, frames)
        interval = bootstrap(mean_of(right), units, rounds=400, seed=seed)
        together += interval.low <= rate <= interval.high
        naive = bootstrap(mean_of(right), np.arange(len(right)), rounds=400, seed=seed)
        apart += naive.low <= rate <= naive.high
    assert 0.89 <= together / rounds <= 0.99
    assert apart / rounds < 0.6


def test_the_spread_is_that_of_the_mean() -> None:
    values = np.random.default_rng(2).normal(5, 2, 400)
    interval = bootstrap(mean_of(values), np.arange(400), rounds=4000)
    assert interval.value == pytest.approx(values.mean(), abs=1e-12)
    assert (interval.high - interval.low) / 2 == pytest.approx(1.96 * values.std() / 20, rel=0.05)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 80), st.integers(1, 6))
def test_balanced_accuracy_is_the_mean_of_recalls(seed: int, n: int, classes: int) -> None:
    generator = np.random.default_rng(seed)
    targets, right = generator.integers(0, classes, n), generator.random(n) < 0.6
    recalls = []
    for number in set(targets.tolist()):
        own = [bool(hit) for hit, target in zip(right, targets, strict=True) if target == number]
        recalls.append(sum(own) / len(own))
    interval = bootstrap(mean_of_class_means(right, targets), np.arange(n), rounds=20)
    assert interval.value == pytest.approx(sum(recalls) / len(recalls), abs=1e-9)
    assert interval.low <= interval.value <= interval.high


@settings(deadline=None)
@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemar_is_the_binomial_test(first: int, second: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    expected = stats.binomtest(first, first + second, 0.5).pvalue if first + second else 1.0
    assert mcnemar(first, second) == pytest.approx(expected, abs=1e-9)


def test_the_same_seed_gives_the_same_interval() -> None:
    right = np.random.default_rng(3).random(50) < 0.8
    assert bootstrap(mean_of(right), np.arange(50)) == bootstrap(mean_of(right), np.arange(50))


@pytest.mark.parametrize("n", [1, 5, 60])
def test_no_mistake_among_few_photos_proves_little(n: int) -> None:
    beta = pytest.importorskip("scipy.stats").beta
    right = np.repeat(True, 2 * n)
    units = np.repeat(np.arange(n), 2)
    found = share_interval(right, units)
    assert (found.value, found.high) == (1, 1)
    assert found.low == pytest.approx(beta.ppf(0.025, n, 1), abs=1e-9)
    wrong = share_interval(~right, units)
    assert (wrong.low, wrong.value) == (0, 0)
    assert wrong.high == pytest.approx(1 - found.low)


def test_one_photo() -> None:
    interval = bootstrap(mean_of(np.array([True])), np.array([7]))
    assert (interval.low, interval.value, interval.high) == (1, 1, 1)
