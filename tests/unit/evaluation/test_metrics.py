"""The usual numbers, against a computation that shares nothing with them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

pytest.importorskip("sklearn")

from animal_classification.bundle.schema import Label
from animal_classification.evaluation.metrics import confused_together, confusion, overall, per_class
from animal_classification.evaluation.scorecard import top_k

EXACT = 1e-9


@st.composite
def photos(draw: st.DrawFn) -> tuple[NDArray[np.int64], NDArray[np.float64], tuple[Label, ...]]:
    classes, n = draw(st.integers(2, 6)), draw(st.integers(1, 60))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    probabilities = generator.dirichlet(np.full(classes, 0.5), n)
    if draw(st.booleans()):
        probabilities = np.round(probabilities, 1)  # ties
    labels = tuple(Label(id=f"c{number}", name=f"class {number}") for number in range(classes))
    return generator.integers(0, draw(st.integers(1, classes)), n), probabilities, labels


def by_hand(targets: NDArray[np.int64], probabilities: NDArray[np.float64], number: int) -> dict[str, float]:
    answers = [max(range(len(row)), key=lambda c: (row[c], -c)) for row in probabilities]
    hits = sum(a == t == number for a, t in zip(answers, targets, strict=True))
    answered, own = answers.count(number), int(sum(t == number for t in targets))
    precision, recall = hits / answered if answered else 0.0, hits / own if own else 0.0
    f1 = 2 * hits / (answered + own) if answered + own else 0.0
    ap, found, before = 0.0, 0.0, 0.0
    for threshold in sorted(set(probabilities[:, number].tolist()), reverse=True):
        taken = [t == number for t, p in zip(targets, probabilities[:, number], strict=True) if p >= threshold]
        found = sum(taken) / own if own else 0.0
        ap += (found - before) * sum(taken) / len(taken)
        before = found
    return {"precision": precision, "recall": recall, "f1": f1, "ap": ap}


@settings(max_examples=60, deadline=None)
@given(photos())
def test_every_number_agrees_with_a_computation_by_hand(
    given_: tuple[NDArray[np.int64], NDArray[np.float64], tuple[Label, ...]],
) -> None:
    targets, probabilities, labels = given_
    units = np.arange(len(targets))
    found = per_class(targets, probabilities, labels, units)
    hand = [by_hand(targets, probabilities, number) for number in range(len(labels))]
    for one, expected in zip(found, hand, strict=True):
        for name, value in expected.items():
            assert getattr(one, name) == pytest.approx(value, abs=EXACT), name
    counts = [one.n for one in found]
    assert counts == [int((targets == number).sum()) for number in range(len(labels))]
    answered = targets % 2 == 0
    whole = overall(targets, probabilities, answered, found, units)
    assert whole.answered_right.value == pytest.approx(sum(answered.tolist()) / len(targets), abs=EXACT)
    present = [number for number, count in enumerate(counts) if count]
    for name in ("precision", "recall", "f1", "ap"):
        macro = sum(hand[number][name] for number in present) / len(present)
        weighted = sum(hand[number][name] * counts[number] for number in present) / len(targets)
        assert getattr(whole.macro, name) == pytest.approx(macro, abs=EXACT)
        assert getattr(whole.weighted, name) == pytest.approx(weighted, abs=EXACT)
    assert whole.accuracy.value == pytest.approx(whole.weighted.recall, abs=EXACT)
    assert whole.balanced_accuracy.value == pytest.approx(whole.macro.recall, abs=EXACT)


@settings(deadline=None)
@given(photos(), st.integers(1, 6))
def test_top_k(given_: tuple[NDArray[np.int64], NDArray[np.float64], tuple[Label, ...]], k: int) -> None:
    targets, probabilities, _ = given_
    hits = [
        t in sorted(range(len(row)), key=lambda c: (-row[c], c))[:k]
        for t, row in zip(targets, probabilities.tolist(), strict=True)
    ]
    assert top_k(targets, probabilities, k) == pytest.approx(sum(hits) / len(hits), abs=EXACT)


@settings(deadline=None)
@given(photos())
def test_the_confusion_table_loses_nobody(
    given_: tuple[NDArray[np.int64], NDArray[np.float64], tuple[Label, ...]],
) -> None:
    targets, probabilities, labels = given_
    answers = probabilities.argmax(axis=1)
    table = confusion(targets, answers, labels)
    assert sum(map(sum, table.matrix)) == len(targets)
    name = {label.name: number for number, label in enumerate(labels)}
    for row, true in enumerate(table.labels):
        for column, answer in enumerate(table.labels):
            expected = int(((targets == name[true]) & (answers == name[answer])).sum())
            assert table.matrix[row][column] == expected


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_every_class_is_in_the_order_once(seed: int, classes: int) -> None:
    matrix = np.random.default_rng(seed).integers(0, 5, (classes, classes))
    assert sorted(confused_together(matrix)) == list(range(classes))


def test_confused_classes_stand_together() -> None:
    matrix: Any = np.diag([20] * 6)
    for one, other in ((0, 3), (3, 5), (1, 4)):
        matrix[one, other] = matrix[other, one] = 5
    order = confused_together(matrix)
    place = {number: index for index, number in enumerate(order)}
    assert abs(place[0] - place[3]) == abs(place[3] - place[5]) == abs(place[1] - place[4]) == 1


def test_classes_that_are_never_confused_keep_their_order() -> None:
    assert confused_together(np.diag([3, 2, 5, 1])) == [0, 1, 2, 3]
