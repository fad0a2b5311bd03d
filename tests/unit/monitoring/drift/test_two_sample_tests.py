"""Our tests say what SciPy's say, and raise as many false alarms as they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animal_classification.monitoring.drift.two_sample_tests import (
    PERMUTATIONS,
    Relabellings,
    kolmogorov_smirnov,
    largest_mean_difference,
    lower_tail,
    mmd,
    permutation_p,
    permuted_chi_squared,
)

stats = pytest.importorskip("scipy.stats", reason="comes with scikit-learn in the extra evaluate")


@pytest.mark.parametrize("sizes", [(50, 100), (200, 350), (500, 2000)])
@pytest.mark.parametrize("shift", [0.0, 0.2, 0.5, 2.0])
def test_kolmogorov_smirnov_as_scipy(sizes: tuple[int, int], shift: float) -> None:
    generator = np.random.default_rng(3)
    window, reference = generator.normal(shift, 1, sizes[0]), generator.normal(0, 1, sizes[1])
    theirs = stats.ks_2samp(window, reference, method="exact" if sizes[0] < 500 else "asymp")
    gap, p = kolmogorov_smirnov(window, reference)
    assert abs(gap) == pytest.approx(theirs.statistic)
    assert np.sign(gap) == (theirs.statistic_sign if gap else 0)
    if theirs.pvalue > 1e-12:
        assert p == pytest.approx(theirs.pvalue, rel=0.25, abs=0.01)
    # What decides is whether p is below 0.0025 / 12.
    assert (p < 0.0025 / 12) == (theirs.pvalue < 0.0025 / 12)


def test_kolmogorov_smirnov_of_equal_values() -> None:
    assert kolmogorov_smirnov(np.zeros(60), np.zeros(100)) == (0.0, 1.0)


def test_lower_tail_as_scipys_own_permutations() -> None:
    """The statistic is written down once more, value by value, and SciPy relabels."""
    generator = np.random.default_rng(4)
    window, reference = generator.normal(0, 1, 60), generator.normal(0, 1, 100)
    window[:5] -= 2

    def statistic(one: np.ndarray, other: np.ndarray) -> float:
        ranks = stats.rankdata(np.concatenate([one, other])) - 0.5
        return float((np.floor(-np.log2(ranks[: len(one)] / len(ranks))) ** 2).sum())

    theirs = stats.permutation_test((window, reference), statistic, n_resamples=4999, rng=1, alternative="greater")
    assert 0.005 < theirs.pvalue < 0.2
    assert lower_tail(window, reference, np.random.default_rng(0)) == pytest.approx(theirs.pvalue, abs=0.015)


@given(
    window=st.lists(st.integers(0, 9), min_size=1, max_size=40),
    other=st.lists(st.integers(0, 9), min_size=1, max_size=40),
)
@settings(max_examples=40)
def test_lower_tail_looks_at_the_order_alone(window: list[int], other: list[int]) -> None:
    one, rest = np.array(window, float), np.array(other, float)
    p = lower_tail(one, rest, np.random.default_rng(0))
    assert 0 < p <= 1
    assert p == lower_tail(np.exp(one), np.exp(rest), np.random.default_rng(0))
    assert lower_tail(one * 0, rest * 0, np.random.default_rng(0)) == 1.0


def test_a_few_values_far_below_are_found_where_their_share_is_small() -> None:
    """Sixteen of 200 below all others: below the 5% quantile are 8% + 5%, which Fisher's test takes for chance."""
    found = fishers = 0
    for seed in range(40):
        generator = np.random.default_rng(seed)
        window, reference = generator.normal(size=200), generator.normal(size=350)
        window[:16] = generator.normal(-4, 0.5, 16)
        found += lower_tail(window, reference, generator) <= 0.0025
        below = [int((values < np.quantile(reference, 0.05)).sum()) for values in (window, reference)]
        table = [[below[0], 200 - below[0]], [below[1], 350 - below[1]]]
        fishers += stats.fisher_exact(table, alternative="greater").pvalue <= 0.0025
    assert found >= 36
    assert fishers <= found - 8


def test_permuted_chi_squared_as_scipys_own_permutations() -> None:
    generator = np.random.default_rng(5)
    reference = generator.choice(6, 300, p=[0.3, 0.3, 0.2, 0.1, 0.05, 0.05])
    window = generator.choice(6, 150, p=[0.22, 0.3, 0.2, 0.13, 0.1, 0.05])
    codes = np.arange(6)

    def statistic(one: np.ndarray, other: np.ndarray) -> float:
        counts = np.array([(codes[:, None] == part).sum(axis=1) for part in (one, other)])
        return float(stats.chi2_contingency(counts).statistic)

    theirs = stats.permutation_test((window, reference), statistic, n_resamples=999, rng=1, alternative="greater")
    ours = permuted_chi_squared(window, reference, np.random.default_rng(0))
    assert ours == pytest.approx(theirs.pvalue, abs=0.05)


def test_relabelling_stays_within_strata() -> None:
    window = np.array([True] * 30 + [False] * 70)
    strata = np.array([0] * 20 + [1] * 10 + [0] * 30 + [1] * 30 + [2] * 10)
    weights = Relabellings.within(window, strata, np.random.default_rng(0)).weights
    called = weights > 0
    assert called.shape == (100, PERMUTATIONS + 1)
    assert (called[:, 0] == window).all()
    for stratum in (0, 1, 2):
        assert set(called[strata == stratum].sum(axis=0)) == {int(window[strata == stratum].sum())}
    assert 0.2 < (called[:, 1:].any(axis=1)).mean() <= 1
    assert weights.sum(axis=0) == pytest.approx(0, abs=1e-4)


def test_p_is_never_zero_and_counts_equal_ones() -> None:
    assert permutation_p(np.array([5.0, 1.0, 2.0, 3.0])) == 0.25
    assert permutation_p(np.array([2.0, 2.0, 1.0, 3.0])) == 0.75


@pytest.mark.parametrize("test", ["mmd", "means", "mix", "tail"])
def test_false_alarms_are_as_many_as_promised(test: str) -> None:
    """200 clean pairs at 5%: between 1.5 and 9.5% in 99% of all runs, and the seeds are fixed."""
    alarms = 0
    for seed in range(200):
        generator = np.random.default_rng(seed)
        values = generator.normal(size=(90, 8)).astype(np.float32)
        labels = generator.integers(0, 4, 90)
        window = np.arange(90) < 40
        relabellings = Relabellings.within(window, labels, generator)
        if test == "mmd":
            p = mmd(values / np.linalg.norm(values, axis=1, keepdims=True), relabellings)[1]
        elif test == "means":
            p = largest_mean_difference(values, relabellings)
        elif test == "tail":
            p = lower_tail(values[window, 0], values[~window, 0], generator)
        else:
            p = permuted_chi_squared(labels[window], labels[~window], generator)
        alarms += p <= 0.05
    assert 0.015 <= alarms / 200 <= 0.095


def test_mmd_ignores_shares_of_the_strata() -> None:
    """Two groups far apart, and a window with more of one of them: no difference within the groups."""
    generator = np.random.default_rng(1)
    centres = np.array([[1, 0, 0, 0], [0, 1, 0, 0]], np.float32)
    strata = np.concatenate([generator.random(100) < 0.9, generator.random(200) < 0.3]).astype(np.int64)
    points = centres[strata] + generator.normal(0, 0.1, (300, 4)).astype(np.float32)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    window = np.arange(300) < 100
    assert mmd(points, Relabellings.within(window, strata, generator))[1] > 0.01
    assert mmd(points, Relabellings.within(window, np.zeros(300, np.int64), generator))[1] == 1 / (PERMUTATIONS + 1)
