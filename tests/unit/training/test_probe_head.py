"""The head in NumPy: against scikit-learn, on folds, at the edges, and byte for byte the same twice."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from animal_classification.common.softmax import softmax
from animal_classification.training.probe.head import choose, fit
from animal_classification.training.probe.linear_models import EmbeddedPhotos, LinearHead, LinearModels
from animal_classification.training.probe.logistic_regression import Problem, basis, logistic
from animal_classification.training.probe.stratified_folds import deal

STRENGTHS = (0.01, 0.1)


def examples(
    classes: int = 3, each: int = 20, depth: int = 8, *, seed: int = 0, backbone: bool = False
) -> EmbeddedPhotos:
    numbers = np.random.default_rng(seed)
    centres = numbers.normal(size=(classes, depth)) * 2
    targets = np.repeat(np.arange(classes), each)
    embeddings = centres[targets] + numbers.normal(size=(len(targets), depth))
    head = LinearHead(numbers.normal(size=(5, depth)), numbers.normal(size=5)) if backbone else None
    return EmbeddedPhotos(embeddings, targets, classes, head)


def folds_of(data: EmbeddedPhotos, count: int = 5) -> np.ndarray:
    numbers = range(len(data.targets))
    return deal(data.targets, list(numbers), [str(number) for number in numbers], count)


def test_logistic_regression_is_that_of_scikit_learn() -> None:
    data = examples()
    rows = data.embeddings - data.embeddings.mean(axis=0)
    count, strength = len(rows), 0.05
    problem = Problem(rows, data.targets, np.full(count, 1 / count), 3)
    solution = logistic(problem, strength, steps=500)
    theirs = LogisticRegression(C=1 / (strength * count), tol=1e-8, max_iter=5000).fit(rows, data.targets)
    assert np.allclose(softmax(rows @ solution[:-1] + solution[-1]), theirs.predict_proba(rows), atol=0.01)


@pytest.mark.parametrize("shape", [(20, 50), (50, 20)])
def test_a_basis_spans_the_rows(shape: tuple[int, int]) -> None:
    rows = np.random.default_rng(0).normal(size=shape)
    directions = basis(rows)
    assert np.allclose(directions.T @ directions, np.eye(directions.shape[1]), atol=1e-8)
    assert np.allclose(rows @ directions @ directions.T, rows, atol=1e-8)


@pytest.mark.parametrize("backbone", [True, False])
def test_the_head_learns(backbone: bool) -> None:
    data = examples(backbone=backbone)
    choice = choose(data, folds_of(data), STRENGTHS, workers=2)
    assert choice.accuracy > 0.9
    assert (fit(data, choice).logits(data.embeddings).argmax(axis=1) == data.targets).mean() > 0.95


def test_the_same_photos_give_the_same_head_to_the_last_bit() -> None:
    heads = []
    for workers in (1, 2):
        data = examples(backbone=True)
        head = fit(data, choose(data, folds_of(data), STRENGTHS, workers=workers))
        heads.append(head.weight.tobytes() + head.bias.tobytes())
    assert heads[0] == heads[1]


@pytest.mark.parametrize(("classes", "each"), [(2, 1), (2, 2), (5, 2), (30, 5)])
def test_few_photos_give_a_head_and_no_warning(classes: int, each: int) -> None:
    data = examples(classes, each, backbone=True)
    choice = choose(data, folds_of(data), STRENGTHS, workers=1)
    assert choice.temperature > 0
    assert np.isfinite(fit(data, choice).weight).all()


def test_equal_photos_are_no_trouble() -> None:
    data = EmbeddedPhotos(np.ones((6, 4)), np.array([0, 0, 0, 1, 1, 1]), 2)
    assert np.isfinite(fit(data, choose(data, folds_of(data), STRENGTHS, workers=1)).weight).all()


def test_a_channel_that_is_silent_in_training_does_not_decide_alone() -> None:
    """Divided by its own spread it would be thousands of times as loud as the others, where it speaks at last."""
    data = examples()
    quiet = np.random.default_rng(1).normal(size=(len(data.targets), 1)) * 1e-4 + data.targets[:, None] * 1e-4
    data = EmbeddedPhotos(np.hstack([data.embeddings, quiet]), data.targets, data.classes)
    head = fit(data, choose(data, folds_of(data), STRENGTHS, workers=1))
    speaks = data.embeddings.copy()
    speaks[:, -1] = 1.0
    assert (head.logits(speaks).argmax(axis=1) == data.targets).mean() > 0.9


def test_balance_helps_the_rare() -> None:
    numbers = np.random.default_rng(0)
    targets = np.array([0] * 90 + [1] * 10)
    embeddings = numbers.normal(size=(100, 3)) + targets[:, None]
    shares = []
    for balance in (True, False):
        data = EmbeddedPhotos(embeddings, targets, 2, balance=balance)
        answers = LinearModels(data, np.ones(100, dtype=bool)).at(0.01)[0].logits(embeddings).argmax(axis=1)
        shares.append(answers.mean())
    assert shares[0] > shares[1]


def test_folds_keep_together_what_belongs_together_and_classes_even() -> None:
    targets = np.repeat(np.arange(4), 25)
    groups = [number // 5 for number in range(100)]
    folds = deal(targets, groups, [str(number) for number in range(100)], 5)
    for group in range(20):
        assert len({fold for fold, number in zip(folds, groups, strict=True) if number == group}) == 1
    assert {int((folds[targets == target] == fold).sum()) for target in range(4) for fold in range(5)} == {5}
