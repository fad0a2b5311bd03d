"""What training writes of a model is what an evaluation measures."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from animal_classification.bundle.schema import BundleInfo
from animal_classification.evaluation.scorecard import LabelledAnswers, Scorecard, top_k
from animal_classification.inference.postprocess import Postprocessor


def info(classes: int, **more: Any) -> BundleInfo:
    document = {
        "name": "zoo",
        "version": "1",
        "created": datetime(2026, 1, 1, tzinfo=UTC),
        "labels": [{"id": str(number), "name": f"animal {number}"} for number in range(classes)],
        "preprocess": {"size": 32, "crop_pct": 1.0, "interpolation": "bilinear"},
        "unknown": {"method": "max_probability", "threshold": 0.6},
        "data": {"version": "1", "classes": classes},
        "code": {"version": "0"},
        **more,
    }
    return BundleInfo.model_validate(document)


def scores(probabilities: list[list[float]], targets: list[int], *, units: list[int] | None = None) -> Scorecard:
    logits = np.log(np.array(probabilities, dtype=np.float32))
    model = info(logits.shape[1])
    embedding = np.zeros((len(targets), 2), np.float32)
    found = LabelledAnswers.of(model, Postprocessor(model), (logits, embedding), np.array(targets)).scorecard(
        np.array(units or list(range(len(targets)))), 0
    )
    assert found is not None
    return found


def test_a_right_label_that_is_called_unknown_is_no_answer() -> None:
    found = scores([[0.7, 0.2, 0.1], [0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.1, 0.8, 0.1]], [0, 0, 1, 2])
    assert (found.accuracy.value, found.answered_right.value) == (0.75, 0.5)
    assert found.called_unknown == 0.25
    assert found.recalls == {"animal 0": 1.0, "animal 1": 1.0, "animal 2": 0.0}
    assert found.balanced_accuracy.value == pytest.approx(2 / 3)
    assert found.summary()["answered_right"] == 0.5


def test_ties_are_not_counted_for_the_model() -> None:
    """Training took equal probabilities for right, an evaluation took the first: a true card could fail its check."""
    equal = [[1 / 8] * 8]
    assert scores(equal, [7]).top5 == 0.0
    assert scores(equal, [4]).top5 == 1.0
    assert top_k(np.array([7]), np.array(equal), 5) == 0.0


def test_faultless_on_few_photos_is_not_certain() -> None:
    """The card's standard error was 0.000."""
    found = scores([[0.9, 0.1]] * 12, [0] * 12)
    assert found.accuracy.value == 1.0
    assert 0.7 < found.accuracy.low < 0.8
    copies = scores([[0.9, 0.1]] * 12, [0] * 12, units=[0] * 6 + [1] * 6)
    assert copies.units == 2
    assert copies.accuracy.low < found.accuracy.low - 0.1


def test_without_a_photo_nothing_is_known() -> None:
    model, nothing = info(2), np.zeros((0, 2), np.float32)
    answers = LabelledAnswers.of(model, Postprocessor(model), (nothing, nothing), np.zeros(0, np.int64))
    assert answers.scorecard(np.zeros(0, np.int64), 0) is None
