"""Do probabilities mean what they say."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from animal_classification.evaluation.calibration import (
    brier_score,
    calibrated,
    calibration_error,
    error_by_chance,
    fit_temperature,
    fit_temperature_to,
    log_loss,
    reliability,
)

EXACT = 1e-9


@st.composite
def answers(draw: st.DrawFn) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    n = draw(st.integers(1, 60))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    # Confidences on the edges of bins among them, and many equal ones.
    confidence = generator.integers(0, draw(st.sampled_from([15, 30, 10_000])) + 1, n) / 30 % 1.0
    return confidence, generator.random(n) < confidence


@settings(deadline=None)
@given(answers(), st.integers(1, 20))
def test_bins_of_equal_width_are_gos_definition(
    given_: tuple[NDArray[np.float64], NDArray[np.bool_]], bins: int
) -> None:
    confidence, correct = given_
    expected = 0.0
    for number in range(bins):
        low, high = np.linspace(0, 1, bins + 1)[number : number + 2]
        inside = [i for i, c in enumerate(confidence) if (low < c <= high) or (number == 0 and c == 0)]
        if inside:
            gap = sum(confidence[i] for i in inside) / len(inside) - sum(correct[i] for i in inside) / len(inside)
            expected += abs(gap) * len(inside) / len(confidence)
    found = calibration_error(reliability(confidence, correct, bins=bins, equal_mass=False))
    assert found == pytest.approx(expected, abs=EXACT)


@settings(deadline=None)
@given(answers(), st.integers(1, 20))
def test_bins_of_equal_mass_hold_the_same_number(
    given_: tuple[NDArray[np.float64], NDArray[np.bool_]], bins: int
) -> None:
    confidence, correct = given_
    bars = reliability(confidence, correct, bins=bins)
    counts = [bar.n for bar in bars]
    assert sum(counts) == len(confidence)
    assert max(counts) - min(counts) <= 1
    filled = [bar for bar in bars if bar.n]
    assert all(before.high <= after.low for before, after in pairwise(filled))
    order = sorted(range(len(confidence)), key=lambda i: (confidence[i], i))
    expected = 0.0
    for number in range(bins):
        inside = [i for rank, i in enumerate(order) if rank * bins // len(order) == number]
        expected += abs(sum(confidence[i] - correct[i] for i in inside)) / len(confidence)
    assert calibration_error(bars) == pytest.approx(expected, abs=EXACT)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 8), st.integers(1, 50))
def test_brier_score_and_log_loss(seed: int, classes: int, n: int) -> None:
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.ones(classes), n)
    targets = generator.integers(0, classes, n)
    brier = sum(sum((probabilities[i, c] - (c == targets[i])) ** 2 for c in range(classes)) for i in range(n)) / n
    loss = -sum(np.log(probabilities[i, targets[i]]) for i in range(n)) / n
    assert brier_score(probabilities, targets) == pytest.approx(brier, abs=EXACT)
    assert log_loss(probabilities, targets) == pytest.approx(loss, abs=EXACT)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_the_temperature_is_found_again(temperature: float) -> None:
    generator = np.random.default_rng(3)
    logits = generator.normal(0, 3, (20_000, 6))
    chances = calibrated(logits, 1.0)
    targets = (chances.cumsum(axis=1) < generator.random((len(chances), 1))).sum(axis=1)
    found = fit_temperature(logits * temperature, targets)
    assert found == pytest.approx(temperature, rel=0.03)
    confidence = calibrated(logits * temperature, found)
    bars = reliability(confidence.max(axis=1), confidence.argmax(axis=1) == targets)
    assert calibration_error(bars) < 0.015


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_no_other_temperature_is_more_likely(seed: int) -> None:
    generator = np.random.default_rng(seed)
    logits, targets = generator.normal(0, 2, (80, 4)), generator.integers(0, 4, 80)
    smooth = 0.5 / 80

    def loss(temperature: float) -> float:
        logs = np.log(calibrated(logits, temperature))
        return -float(((1 - smooth) * logs[np.arange(80), targets] + smooth * logs.mean(axis=1)).mean())

    best = min(loss(temperature) for temperature in np.exp(np.linspace(np.log(0.1), np.log(100), 300)))
    assert loss(fit_temperature(logits, targets)) <= best + 1e-9


def test_a_model_that_never_errs_gets_a_finite_temperature() -> None:
    logits = np.eye(3)[[0, 1, 2] * 10] * 8.0
    temperature = fit_temperature(logits, np.array([0, 1, 2] * 10))
    assert 0.5 < temperature < 5
    assert fit_temperature(np.empty((0, 3)), np.empty(0, np.int64)) == 1.0


def test_the_temperature_stays_within_its_bounds() -> None:
    wrong = np.eye(3)[[0, 1, 2] * 20]
    assert fit_temperature(wrong * 9, np.array([1, 2, 0] * 20)) == pytest.approx(100, rel=1e-9)
    assert fit_temperature(wrong * 1e-6, np.array([0, 1, 2] * 20)) == pytest.approx(0.01, rel=1e-9)


def test_a_class_that_is_ruled_out_does_not_make_it_hotter() -> None:
    generator = np.random.default_rng(5)
    logits, targets = generator.normal(0, 2, (60, 4)), generator.integers(0, 3, 60)
    logits[:, 3] = -1e9
    assert fit_temperature(logits, targets) == pytest.approx(fit_temperature(logits[:, :3], targets), rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.2, 5.0))
def test_the_temperature_of_given_probabilities_is_found_again(seed: int, temperature: float) -> None:
    logits = np.random.default_rng(seed).normal(0, 3, (40, 5))
    assert fit_temperature_to(logits, calibrated(logits, temperature)) == pytest.approx(temperature, rel=1e-9)
    assert fit_temperature_to(logits[:0], calibrated(logits[:0], 1.0)) == 1.0


@pytest.mark.parametrize("equal_mass", [True, False])
def test_what_chance_alone_makes_of_perfect_calibration(equal_mass: bool) -> None:
    generator = np.random.default_rng(5)
    confidence = generator.uniform(0.4, 1, 300)
    seen = [
        calibration_error(reliability(confidence, generator.random(300) < confidence, equal_mass=equal_mass))
        for _ in range(300)
    ]
    assert error_by_chance(confidence, equal_mass=equal_mass) == pytest.approx(float(np.mean(seen)), rel=0.08)


def test_no_photo_at_all() -> None:
    nothing = np.empty(0)
    assert calibration_error(reliability(nothing, nothing.astype(bool))) == 0
    assert error_by_chance(nothing) == 0
