"""E-values: what is promised of them, simulated."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from animal_classification.loop.evidence import Disagreements, different_shares, judge, superiority


def stopped(share: float, runs: int, seed: int, most: int = 200) -> tuple[float, float, float]:
    """Share of runs that end with "better" and with "worse", looked at after every answer, and the median length."""
    lot = np.random.default_rng(seed)
    look = cache(lambda won, count: judge(Disagreements(new=won, old=count - won), evidence=20, most=most))
    ends, lengths = [], []
    for _ in range(runs):
        wins = np.cumsum(lot.random(most) < share)
        for count, won in enumerate(wins.tolist(), 1):
            if (found := look(won, count)) != "open":
                ends.append(found)
                lengths.append(count)
                break
    return ends.count("better") / runs, ends.count("worse") / runs, float(np.median(lengths))


def test_an_equal_model_is_promoted_in_few_of_a_hundred_however_often_one_looks() -> None:
    better, worse, _ = stopped(0.5, 3000, seed=1)
    assert 0.02 <= better <= 0.05  # Ville's bound; 3.3% were measured
    assert worse <= 0.05


@pytest.mark.parametrize(("share", "median"), [(0.65, 66), (0.7, 35), (0.8, 17)])
def test_a_better_one_is_found_soon(share: float, median: int) -> None:
    better, worse, length = stopped(share, 800, seed=2)
    assert better > 0.9
    assert worse < 0.01
    assert length == pytest.approx(median, rel=0.2)


def test_nothing_said_is_no_evidence() -> None:
    assert superiority(0, 0) == pytest.approx(1)
    assert judge(Disagreements(), evidence=20, most=200) == "open"
    assert judge(Disagreements(new=100, old=100), evidence=20, most=200) == "equal"


def test_its_mean_is_one_where_nothing_is_better() -> None:
    """By the definition of an e-value, over all outcomes of ten answers."""
    from math import comb

    mean = sum(comb(10, wins) / 2**10 * superiority(wins, 10) for wins in range(11))
    assert mean <= 1 + 1e-9


@pytest.mark.parametrize(("truth", "allowed"), [((0.1, 0.1), 0.0), ((0.5, 0.5), 0.0), ((0.1, 0.2), 0.1)])
def test_equal_shares_are_rarely_told_apart(truth: tuple[float, float], allowed: float) -> None:
    lot = np.random.default_rng(3)
    wrong = 0
    for _ in range(200):
        drawn = lot.random((2, 1000)) < np.array(truth)[:, None]
        sums = drawn.cumsum(axis=1)
        looks = range(100, 1001, 100)
        wrong += any(different_shares((int(sums[0, n - 1]), n), (int(sums[1, n - 1]), n), allowed) >= 20 for n in looks)
    assert wrong / 200 <= 0.05


def test_different_shares_are() -> None:
    assert different_shares((50, 500), (125, 500)) > 20
    assert different_shares((50, 500), (125, 500), allowed=0.15) < 20
    assert different_shares((0, 0), (0, 0)) == pytest.approx(1)
