"""The gate: its stated error rates, simulated, and each of its tests on answers made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from animal_classification.loop.config import GateConfig
from animal_classification.loop.gate_tests import (
    PairedAnswers,
    calibration_test,
    class_test,
    fresh_test,
    frozen_test,
    label_test,
    overall,
    photos_to_decide,
    stranger_test,
    unknown_test,
)

CONFIG = GateConfig(margin=2, margin_few=2)


def answers(
    old: NDArray[np.bool_],
    new: NDArray[np.bool_],
    labels: list[str] | None = None,
    units: NDArray[np.int64] | None = None,
) -> PairedAnswers:
    none = np.zeros(len(old), dtype=np.bool_)
    sure = np.full(len(old), 0.9)
    return PairedAnswers(
        labels=labels or ["cat"] * len(old),
        units=np.arange(len(old)) if units is None else units,
        right=(old, new),
        unknown=(none, none),
        confidence=(sure, sure),
    )


def drawn(lot: np.random.Generator, count: int, difference: float, discordance: float = 0.04) -> PairedAnswers:
    """Two models that differ on a share of the photos, and by so much in accuracy."""
    lots = lot.random(count)
    gain, loss = (discordance + difference) / 2, (discordance - difference) / 2
    old, new = np.ones(count, dtype=np.bool_), np.ones(count, dtype=np.bool_)
    old[lots < gain] = False
    new[(lots >= gain) & (lots < gain + loss)] = False
    both = lots > 0.97
    old[both] = new[both] = False
    return answers(old, new)


def passing(count: int, difference: float, runs: int = 400) -> float:
    lot = np.random.default_rng(count)
    return sum(frozen_test(drawn(lot, count, difference), CONFIG).verdict == "pass" for _ in range(runs)) / runs


@pytest.mark.parametrize(("count", "share"), [(300, 0.55), (600, 0.79), (1200, 0.96)])
def test_an_equal_model_passes_as_often_as_stated(count: int, share: float) -> None:
    assert passing(count, 0.0) == pytest.approx(share, abs=0.07)  # three standard errors of 400 runs


@pytest.mark.parametrize("count", [300, 600, 1200])
def test_a_model_that_is_worse_by_the_margin_passes_in_one_of_twenty(count: int) -> None:
    assert passing(count, -0.02) <= 0.05 + 0.035


def test_frames_of_one_burst_count_once() -> None:
    """Ten groups of thirty photos each: what looks like 300 photos decides nothing."""
    lot = np.random.default_rng(0)
    old, new = np.ones(300, dtype=np.bool_), np.ones(300, dtype=np.bool_)
    old[:60], new[240:] = False, False
    single = frozen_test(answers(old, new), CONFIG)
    grouped = frozen_test(answers(old, new, units=np.repeat(np.arange(10), 30)), CONFIG)
    assert grouped.values["low"] < single.values["low"] - 0.1
    assert lot is not None


def test_undecided_says_how_many_photos_would_decide() -> None:
    found = frozen_test(drawn(np.random.default_rng(3), 100, 0.0, 0.08), CONFIG)
    assert found.verdict == "undecided"
    assert f"about {found.values['would_decide']} photos would decide" in found.says
    assert photos_to_decide(0.04, 0.02) == 620


def test_fresh_photos_ask_for_more_than_as_good() -> None:
    same = np.ones(40, dtype=np.bool_)
    assert fresh_test(answers(same, same), CONFIG).verdict == "fail"
    assert fresh_test(answers(same[:10], same[:10]), CONFIG).verdict == "pass"
    old = np.arange(40) >= 10
    assert fresh_test(answers(old, same), CONFIG).verdict == "pass"
    assert fresh_test(answers(same[:0], same[:0]), CONFIG).verdict == "skipped"


def test_a_class_that_gets_worse_fails_and_chance_does_not() -> None:
    labels = ["cat"] * 40 + ["dog"] * 40 + ["owl"] * 5
    old = np.ones(85, dtype=np.bool_)
    new = old.copy()
    new[:10] = False  # a quarter of the cats
    assert "cat -25 points" in class_test(answers(old, new, labels), CONFIG).says
    new = old.copy()
    new[:3] = False
    assert class_test(answers(old, new, labels), CONFIG).verdict == "pass"
    new = old.copy()
    new[80:] = False  # all of a class of five
    assert class_test(answers(old, new, labels), CONFIG).verdict == "pass"


def test_unknown_strangers_and_calibration() -> None:
    right = np.ones(200, dtype=np.bool_)
    plain = answers(right, right)
    worse = PairedAnswers(
        labels=plain.labels,
        units=plain.units,
        right=plain.right,
        unknown=(np.zeros(200, dtype=np.bool_), np.arange(200) < 20),
        confidence=(np.full(200, 0.99), np.full(200, 0.5)),
    )
    assert unknown_test(plain, CONFIG).verdict == calibration_test(plain, CONFIG).verdict == "pass"
    assert unknown_test(worse, CONFIG).verdict == calibration_test(worse, CONFIG).verdict == "fail"
    refused = np.ones(40, dtype=np.bool_)
    assert stranger_test(refused, np.arange(40) < 30, CONFIG).verdict == "fail"
    assert stranger_test(refused, refused, CONFIG).verdict == "pass"
    assert stranger_test(refused[:5], ~refused[:5], CONFIG).verdict == "skipped"


def test_labels_may_be_given_up_by_a_person_only() -> None:
    assert label_test(["cat", "dog"], ["cat", "owl"], CONFIG).verdict == "fail"
    assert label_test(["cat", "dog"], ["cat"], GateConfig(drop_labels=("dog",))).verdict == "pass"


def test_a_gate_that_compared_nothing_is_undecided() -> None:
    none = np.zeros(0, dtype=np.bool_)
    tests = [frozen_test(answers(none, none), CONFIG), label_test(["cat"], ["cat"], CONFIG)]
    assert overall(tests) == "undecided"
    right = np.ones(300, dtype=np.bool_)
    assert overall([frozen_test(answers(right, right), CONFIG)]) == "pass"
    assert overall([frozen_test(answers(right, ~right), CONFIG)]) == "fail"
