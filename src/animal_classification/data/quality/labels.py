"""Labels that a model trained on the other photos contradicts, and is sure of it.

Probabilities come from a logistic regression on embeddings, each photo judged by a model that has seen neither it nor
a copy of it, at the temperature that fits best. They can then be taken at their word: a label is doubted
where it has less than one chance in twenty and another more than one in two. Cleanlab's confident learning, on the same
probabilities, finds fewer (docs/data.md has the comparison); it is there by choice, with its extra.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from animal_classification.errors import MissingExtraError

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

Method = Literal["calibrated", "cleanlab"]

FOLDS = 5
FEWEST = 3
# Strong regularisation in few dimensions: a model that could learn a wrong label by heart would not contradict it.
_STRENGTH = 0.003
# With few photos that would teach it nothing at all.
_STRENGTH_FOR_ONE = 3.6
_DIMENSIONS = 256
_HARDLY = 0.05
_LIKELY = 0.5


@dataclass(frozen=True, slots=True)
class Doubt:
    """A label that is probably wrong.

    Attributes:
        index: Position among the photos given.
        suggestion: The label that the other photos speak for.
        given: Probability of the label that it has.
        suggested: Probability of the suggestion.
    """

    index: int
    suggestion: str
    given: float
    suggested: float


def require(method: Method) -> None:
    """Refuse a method whose package is not installed.

    Raises:
        MissingExtraError: It is not.
    """
    if find_spec("sklearn") is None or (method == "cleanlab" and find_spec("cleanlab") is None):
        raise MissingExtraError("finding wrong labels" + (" with cleanlab" if method == "cleanlab" else ""), "data")


def find_wrong_labels(
    labels: Sequence[str],
    embeddings: NDArray[np.float32],
    groups: Sequence[int],
    *,
    method: Method = "calibrated",
    seed: int = 0,
) -> list[Doubt]:
    """Find labels that are probably wrong, the surest first.

    Args:
        labels: One for each photo.
        embeddings: ``[N, D]``, without NaN.
        groups: Equal numbers for photos of which one gives another's label away, such as copies.
        method: Who decides.
        seed: For the division into folds.

    Raises:
        MissingExtraError: A package is not installed.
    """
    require(method)
    counts = Counter(labels)
    chosen = np.array([index for index, label in enumerate(labels) if counts[label] >= FEWEST], dtype=np.int64)
    names, codes = np.unique(np.array(labels, dtype=object)[chosen].astype(str), return_inverse=True)
    if len(names) < 2:
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few photos of a class, a fit that stops early: neither is for our users
        probabilities = _out_of_fold(embeddings[chosen], codes, np.asarray(groups)[chosen], seed)
        own, likeliest = probabilities[np.arange(len(codes)), codes], probabilities.max(axis=1)
        sure = (own < _HARDLY) & (likeliest > _LIKELY)
        wrong = sure if method == "calibrated" else _confident_issues(codes, probabilities)
    best = probabilities.argmax(axis=1)
    doubts = [
        Doubt(
            int(chosen[index]),
            str(names[best[index]]),
            float(own[index]),
            float(likeliest[index]),
        )
        for index in np.flatnonzero(wrong & (best != codes))
    ]
    return sorted(doubts, key=lambda doubt: (doubt.given - doubt.suggested, doubt.index))


def _confident_issues(codes: NDArray[np.int64], probabilities: NDArray[np.float64]) -> NDArray[np.bool_]:
    from cleanlab.filter import find_label_issues

    result: NDArray[np.bool_] = find_label_issues(
        codes, probabilities, filter_by="low_normalized_margin", n_jobs=1, verbose=False
    )
    return result


def _out_of_fold(
    embeddings: NDArray[np.float32], codes: NDArray[np.int64], groups: NDArray[np.int64], seed: int
) -> NDArray[np.float64]:
    from sklearn.model_selection import StratifiedGroupKFold
    from threadpoolctl import threadpool_limits

    folds = min(FOLDS, int(np.bincount(codes).min()), len(np.unique(groups)))
    classes = int(codes.max()) + 1
    logits = np.zeros((len(codes), classes))
    for train, test in StratifiedGroupKFold(max(2, folds), shuffle=True, random_state=seed).split(
        embeddings, codes, groups
    ):
        known = np.unique(codes[train])
        part = np.full((len(test), classes), np.log(1e-9))
        if len(known) > 1:
            model = _model(len(train), embeddings.shape[1])
            with threadpool_limits(
                1
            ):  # matrices this small are slower on several threads, far slower on a busy machine
                model.fit(embeddings[train], codes[train])
                part[:, known] = np.log(np.clip(model.predict_proba(embeddings[test]), 1e-9, 1))
        logits[test] = part
    return _sharpened(logits, codes)


def _model(photos: int, width: int) -> Pipeline:
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    dimensions = min(_DIMENSIONS, photos - 1, width)
    strength = max(_STRENGTH, _STRENGTH_FOR_ONE / photos)
    return make_pipeline(
        StandardScaler(),
        PCA(dimensions, svd_solver="randomized" if dimensions < 500 else "auto", random_state=0),
        LogisticRegression(C=strength, tol=1e-3, max_iter=200),
    )


def _sharpened(logits: NDArray[np.float64], codes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Probabilities at the temperature that fits the labels best; strong regularisation leaves them too modest."""
    from scipy.optimize import minimize_scalar

    def surprise(log_factor: float) -> float:
        return -float(np.log(_softmax(logits * np.exp(log_factor))[np.arange(len(codes)), codes] + 1e-12).mean())

    best = minimize_scalar(surprise, bounds=(-2.0, 6.0), method="bounded").x
    return _softmax(logits * np.exp(best))


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: NDArray[np.float64] = exponents / exponents.sum(axis=1, keepdims=True)
    return result
