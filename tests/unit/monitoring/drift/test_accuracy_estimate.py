"""The range of accuracy without labels, where some photos show what the model does not know."""

from __future__ import annotations

import numpy as np
import pytest

from animal_classification.monitoring.drift.accuracy_estimate import AccuracyModel
from animal_classification.monitoring.drift.verdict import EstimatedAccuracy
from tests.support.drift_samples import as_window, made_judge, made_reference, made_sample


def width(estimate: EstimatedAccuracy) -> float:
    return estimate.high - estimate.low


@pytest.mark.parametrize("strangers", [0.1, 0.3])
def test_the_range_holds_the_truth_where_strangers_are(strangers: float) -> None:
    model = AccuracyModel(made_reference(350))
    held = []
    for seed in range(20):
        sample, label = made_sample(200, 100 + seed, strangers=strangers)
        found = model.estimate(sample, strangers="certain")
        held.append(found.low <= (sample.pred == label).mean() <= found.high)
    assert np.mean(held) >= 0.9


def test_where_strangers_are_possible_the_range_holds_both() -> None:
    model = AccuracyModel(made_reference(350))
    sample, _ = made_sample(200, 7, strangers=0.06)
    without, certain, possible = (model.estimate(sample, strangers=there) for there in ("no", "certain", "possible"))
    assert (possible.low, possible.high) == (min(without.low, certain.low), max(without.high, certain.high))
    assert possible.low < without.low
    assert possible.drop_high == without.drop_high, "nobody is woken for what is only possible"


def test_fewer_photos_say_less_of_how_many_strangers_there_are() -> None:
    model = AccuracyModel(made_reference(350))
    many, _ = made_sample(400, 7, strangers=0.2)
    few = many.take(np.arange(0, 400, 8))
    assert width(model.estimate(few, strangers="certain")) > width(model.estimate(many, strangers="certain")) + 0.05


def test_a_few_strangers_that_no_test_is_sure_of_widen_the_range() -> None:
    judge = made_judge(made_reference(350))
    clean, some = (judge.judge(as_window(made_sample(200, 7, strangers=share)[0])) for share in (0.0, 0.02))
    assert (clean.kind, some.kind) == ("none", "none")
    assert clean.tests.content_p > 0.2 >= some.tests.content_p > 0.0025
    assert clean.accuracy is not None
    assert some.accuracy is not None
    assert some.accuracy.low < clean.accuracy.low - 0.03


def test_photos_that_are_all_strangers_may_all_be_wrong() -> None:
    model = AccuracyModel(made_reference(350))
    sample, _ = made_sample(100, 7, strangers=1.0)
    found = model.estimate(sample, strangers="certain")
    assert found.low < 0.05
    assert 0.0 <= found.low <= found.high <= 1.0
