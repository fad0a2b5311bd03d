"""Labels that a model trained on the other photos contradicts with confidence.

Probabilities come from a logistic regression on embeddings, each photo judged by a model that has seen neither it nor
what belongs to it (a copy, a frame of its sequence), at the temperature that fits best. They can then be taken at their
word: a label is doubted where it has less than one chance in twenty and another more than one in two. Cleanlab's
confident learning, on the same probabilities, finds fewer (docs/data.md has the comparison); it is there by choice,
with its extra.

Classes weigh the same, however many photos they have: with the weight of their numbers, a rare species is doubted for
being rare. Labels of classes too small to be learned from are not judged at all (:func:`judged_classes`).
"""

# Imported where they are used: scikit-learn and cleanlab are extras, and take a second to load.

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from animal_classification.common.softmax import softmax
from animal_classification.errors import MissingExtraError

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

Method = Literal["calibrated", "cleanlab"]

FOLDS = 5
# Fewer photos, or fewer sets of photos that are independent of each other, do not teach what a class looks like: right
# labels would be doubted (docs/data.md has the numbers). Such a class may still be what a
# photo of another is taken for.
FEWEST_PHOTOS = 10
FEWEST_SETS = FOLDS
# Still fewer are no class that another could be mistaken for.
_FEWEST_LEARNED = 3
# Strong regularisation in few dimensions: a model that could learn a wrong label by heart would not contradict it.
_STRENGTH = 0.003
# With few photos that would teach it nothing at all.
_STRENGTH_FOR_ONE = 3.6
_DIMENSIONS = 256
_HARDLY = 0.05
# The probability of a class that a fold's model does not know, and the least of one that it does.
_NEVER = 1e-9
_LIKELY = 0.5


@dataclass(frozen=True, slots=True)
class LabelIssue:
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


def judged_classes(labels: Sequence[str], groups: Sequence[int]) -> frozenset[str]:
    """The classes that are large enough for their labels to be judged.

    Args:
        labels: One for each photo.
        groups: Equal numbers for photos that belong together.
    """
    counts = Counter(labels)
    sets = Counter(label for label, _ in set(zip(labels, groups, strict=True)))
    return frozenset(label for label, count in counts.items() if count >= FEWEST_PHOTOS and sets[label] >= FEWEST_SETS)


def find_wrong_labels(
    labels: Sequence[str],
    embeddings: NDArray[np.float32],
    groups: Sequence[int],
    *,
    method: Method = "calibrated",
    seed: int = 0,
) -> list[LabelIssue]:
    """Find labels that are probably wrong, the surest first.

    Args:
        labels: One for each photo.
        embeddings: ``[N, D]``, without NaN.
        groups: Equal numbers for photos of which one gives another's label away: copies, frames of one sequence.
        method: Who decides.
        seed: For the division into folds.

    Raises:
        MissingExtraError: A package is not installed.
    """
    require(method)
    large, counts = judged_classes(labels, groups), Counter(labels)
    learned = np.array([index for index, label in enumerate(labels) if counts[label] >= _FEWEST_LEARNED], np.int64)
    names, codes = np.unique(np.array(labels, dtype=object)[learned].astype(str), return_inverse=True)
    if not large or len(names) < 2:
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few photos of a class, a fit that stops early: neither is for our users
        logits, judged = _out_of_fold(embeddings[learned], codes, np.asarray(groups)[learned], seed)
        judged &= np.isin(names, list(large))[codes]
        if not judged.any():
            return []
        chosen, codes = learned[judged], codes[judged]
        probabilities = _sharpened(logits[judged], codes)
        own, likeliest = probabilities[np.arange(len(codes)), codes], probabilities.max(axis=1)
        sure = (own < _HARDLY) & (likeliest > _LIKELY)
        wrong = sure if method == "calibrated" else _confident_issues(codes, probabilities)
    best = probabilities.argmax(axis=1)
    doubts = [
        LabelIssue(int(chosen[index]), str(names[best[index]]), float(own[index]), float(likeliest[index]))
        for index in np.flatnonzero(wrong & (best != codes))
    ]
    return sorted(doubts, key=lambda doubt: (doubt.given - doubt.suggested, doubt.index))


def _confident_issues(codes: NDArray[np.int64], probabilities: NDArray[np.float64]) -> NDArray[np.bool_]:
    from cleanlab.filter import find_label_issues

    # Cleanlab wants every class to be somebody's label.
    present, positions = np.unique(codes, return_inverse=True)
    among = probabilities[:, present]
    result: NDArray[np.bool_] = find_label_issues(
        positions,
        among / among.sum(axis=1, keepdims=True),
        filter_by="low_normalized_margin",
        n_jobs=1,
        verbose=False,
    )
    return result


def _out_of_fold(
    embeddings: NDArray[np.float32], codes: NDArray[np.int64], groups: NDArray[np.int64], seed: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Logits ``[N, C]`` of models that have not seen the photo's group, and whether they know the photo's class."""
    from sklearn.model_selection import StratifiedGroupKFold
    from threadpoolctl import threadpool_limits

    logits = np.full((len(codes), int(codes.max()) + 1), np.log(_NEVER))
    judged = np.zeros(len(codes), dtype=np.bool_)
    folds = min(FOLDS, len(np.unique(groups)))
    if folds < 2:
        return logits, judged
    for train, test in StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(embeddings, codes, groups):
        known = np.unique(codes[train])
        if len(known) < 2 or not len(test):
            continue
        model = _model(len(train), embeddings.shape[1])
        with threadpool_limits(1):  # matrices this small are slower on several threads, far slower on a busy machine
            model.fit(embeddings[train], codes[train])
            logits[np.ix_(test, known)] = np.log(np.clip(model.predict_proba(embeddings[test]), _NEVER, 1))
        judged[test] = np.isin(codes[test], known)
    return logits, judged


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
        LogisticRegression(C=strength, tol=1e-3, max_iter=200, class_weight="balanced"),
    )


def _sharpened(logits: NDArray[np.float64], codes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Probabilities at the temperature that fits the labels best; strong regularisation leaves them too modest."""
    from scipy.optimize import minimize_scalar

    def surprise(log_factor: float) -> float:
        return -float(np.log(softmax(logits * np.exp(log_factor))[np.arange(len(codes)), codes] + 1e-12).mean())

    best = minimize_scalar(surprise, bounds=(-2.0, 6.0), method="bounded").x
    return softmax(logits * np.exp(best))
