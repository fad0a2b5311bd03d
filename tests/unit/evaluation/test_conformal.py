"""Prediction sets keep their word, on data whose distribution is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from animal_classification.bundle.schema import Conformal
from animal_classification.evaluation.calibration import calibrated
from animal_classification.evaluation.conformal import (
    FEWEST,
    conformal_quantile,
    coverage,
    draws,
    fit_conformal,
    shown_sets,
    truth_scores,
)


def world(seed: int, n: int, classes: int = 5, skill: float = 1.0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Photos and a model that is wrong about its own skill: probabilities are valid scores and nothing more."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 2, (n, classes))
    chances = calibrated(logits, 1.0)
    targets = (chances.cumsum(axis=1) < generator.random((n, 1))).sum(axis=1)
    return calibrated(logits * skill, 1.0), targets


@pytest.mark.parametrize("alpha", [0.1, 0.3])
@pytest.mark.parametrize("skill", [0.3, 1.0, 4.0])
def test_drawn_sets_hold_the_truth_exactly_as_often_as_stated(alpha: float, skill: float) -> None:
    n, rounds = 99, 200
    found = []
    for seed in range(rounds):
        rule = fit_conformal(*world(seed, n, skill=skill), alpha=alpha, seed=seed)
        assert rule is not None
        found.append(coverage(*world(10_000 + seed, 500, skill=skill), rule, seed=90_000 + seed))
    mean, error = float(np.mean(found)), float(np.std(found)) / math.sqrt(rounds)
    assert 1 - alpha - 4 * error <= mean <= 1 - alpha + 1 / (n + 1) + 4 * error
    # Over calibrations, the coverage is Beta distributed with a standard deviation of about sqrt(a (1 - a) / n).
    expected = math.sqrt(alpha * (1 - alpha) / n + alpha * (1 - alpha) / 500)
    assert float(np.std(found)) == pytest.approx(expected, rel=0.2)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.05, 0.1, 0.3]), st.sampled_from([(0.0, 0), (0.1, 2), (0.5, 1)]))
def test_shown_sets_hold_the_drawn_ones(seed: int, alpha: float, regularised: tuple[float, int]) -> None:
    probabilities, targets = world(seed, 200)
    penalty, free = regularised
    rule = Conformal(alpha=alpha, quantile=0, penalty=penalty, free=free)
    scores = truth_scores(probabilities, targets, rule, draws(200, seed))
    rule = rule.model_copy(update={"quantile": conformal_quantile(scores, alpha)})
    sizes, covered = shown_sets(probabilities, targets, rule)
    assert (sizes >= 1).all()
    assert covered[scores <= rule.quantile].all()
    # A smaller set would miss what the definition asks for: the mass before the last label is below the quantile.
    for row in range(200):
        ranked = np.sort(probabilities[row])[::-1]
        mass = sum(ranked[: sizes[row] - 1]) + penalty * max(0, sizes[row] - 1 - free)
        assert sizes[row] == 1 or mass < rule.quantile + 1e-9


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.sampled_from([0.05, 0.1, 0.25, 0.5]))
def test_the_quantile_is_the_corrected_order_statistic(scores: list[float], alpha: float) -> None:
    rank = math.ceil(round((len(scores) + 1) * (1 - alpha), 9))
    assert conformal_quantile(np.array(scores), alpha) == sorted(scores)[min(rank, len(scores)) - 1]


def test_too_few_photos_give_no_rule() -> None:
    assert fit_conformal(*world(0, FEWEST - 1)) is None
    rule = fit_conformal(*world(0, FEWEST))
    assert rule is not None
    assert rule.n == FEWEST


def test_a_photo_always_has_the_same_set_and_harder_ones_have_larger_sets() -> None:
    rule = fit_conformal(*world(1, 500))
    assert rule is not None
    probabilities, targets = world(2, 2000)
    sizes, _ = shown_sets(probabilities, targets, rule)
    assert (shown_sets(probabilities, targets, rule)[0] == sizes).all()
    sure = probabilities.max(axis=1) > 0.95
    unsure = probabilities.max(axis=1) < 0.5
    assert sizes[sure].mean() < 1.1
    assert sizes[unsure].mean() > 1.5
