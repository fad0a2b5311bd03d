"""Promises about shares of new photos."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animal_classification.evaluation.confidence_intervals import CONFIDENCE, fewest_for, share_below, tolerance_rank

shares = st.floats(0.005, 0.5)


def probability_of_fewer(rank: int, count: int, share: float) -> float:
    """That fewer than ``rank`` of ``count`` events happen: by the definition, term by term."""
    return sum(comb(count, k) * share**k * (1 - share) ** (count - k) for k in range(rank))


@settings(deadline=None)
@given(st.integers(1, 400), shares)
def test_the_rank_is_the_highest_that_keeps_the_promise(count: int, share: float) -> None:
    rank = tolerance_rank(count, share)
    assert 0 <= rank <= count
    assert probability_of_fewer(rank, count, share) <= 1 - CONFIDENCE + 1e-9
    assert probability_of_fewer(rank + 1, count, share) >= 1 - CONFIDENCE - 1e-9


@settings(deadline=None)
@given(shares)
def test_it_takes_so_many_photos_for_any_promise(share: float) -> None:
    fewest = fewest_for(share)
    assert tolerance_rank(fewest, share) >= 1
    assert tolerance_rank(fewest - 1, share) == 0


def test_wilks_numbers() -> None:
    """Wilks 1941 and whoever has used him since: 22 for ten percent at 90%, 59 for five percent at 95%."""
    assert fewest_for(0.1) == 22
    assert fewest_for(0.05, 0.95) == 59
    assert fewest_for(0.02) == 114
    assert tolerance_rank(150, 0.05) == 4
    assert tolerance_rank(1_000_000, 0.02) == pytest.approx(20_000 - 1.2816 * 140, abs=2), "the normal approximation"


@settings(deadline=None)
@given(st.integers(2, 300), st.data())
def test_share_and_rank_are_each_other_s_inverse(count: int, data: st.DataObject) -> None:
    rank = data.draw(st.integers(1, count - 1))
    share = share_below(count, rank)
    assert tolerance_rank(count, min(share * 1.0001, 0.99999)) >= rank
    assert tolerance_rank(count, share * 0.999) < rank


@pytest.mark.parametrize(
    ("count", "share", "rounds"),
    [(150, 0.05, 2000), pytest.param(1200, 0.02, 20_000, marks=pytest.mark.nightly)],
)
def test_the_promise_holds_in_nine_of_ten_draws(count: int, share: float, rounds: int) -> None:
    """Whatever the distribution is: of uniform scores the share below is the score itself."""
    scores = np.sort(np.random.default_rng(0).random((rounds, count)), axis=1)
    broken = float((scores[:, tolerance_rank(count, share) - 1] > share).mean())
    assert broken <= 1 - CONFIDENCE + 3 * np.sqrt(CONFIDENCE * (1 - CONFIDENCE) / rounds)
    next_rank = float((scores[:, tolerance_rank(count, share)] > share).mean())
    assert next_rank > 1 - CONFIDENCE - 3 * np.sqrt(CONFIDENCE * (1 - CONFIDENCE) / rounds)
