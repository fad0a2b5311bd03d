"""Out-of-distribution detection, fitted on training photos and on held-out ones. NumPy only.

Of the scores that docs/evaluation.md compares, the sum of two that err differently is best: the energy of the logits
(Liu, Wang, Owens and Li 2020) and the relative Mahalanobis distance of the embedding (Ren et al. 2021), each on the
scale that held-out photos of the classes have. The threshold keeps a promise: with 90% confidence it refuses no more
than the wanted share of photos of the classes (``confidence_intervals.tolerance_rank``).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from animal_classification.bundle.schema import Scale, Unknown
from animal_classification.evaluation.confidence_intervals import tolerance_rank
from animal_classification.inference.ood import FeatureDistance, energy, known_scores, unit_length

# Share of the photos of the classes that may be taken for unknown (docs/evaluation.md says what other shares cost).
REFUSED = 0.02
DIRECTIONS = 64
_MOST_DIRECTIONS = 256
# How much of the covariance is replaced by a multiple of the unit matrix: with a few dozen photos of a class and more
# than a thousand dimensions, most of what it says is chance.
_SHRINKAGE = 0.8
# Of embeddings of length one, which single precision holds to seven digits.
_LEAST_VARIANCE = 1e-12
_OVERSAMPLED = 16
_POWERS = 3
FEWEST = 30


def fit_distance(
    embeddings: NDArray[np.floating], targets: NDArray[np.integer], classes: int
) -> FeatureDistance | None:
    """Fit the distance to training photos.

    Args:
        embeddings: ``[N, D]``.
        targets: ``[N]``, positions of their classes.
        classes: How many there are. Those that have no photo here take no part: the distance is to the nearest of the
            others.

    Returns:
        ``None`` where photos of a class are too few to differ from each other.
    """
    unit = unit_length(embeddings)
    present = np.flatnonzero(np.bincount(targets, minlength=classes))
    if len(unit) < len(present) + FEWEST:
        return None
    targets, classes = np.searchsorted(present, targets), len(present)
    centre = unit.mean(axis=0)
    moved = unit - centre
    basis = _leading_directions(moved, min(max(DIRECTIONS, classes), _MOST_DIRECTIONS, *moved.shape))
    inside = (moved @ basis).astype(np.float64)
    means = np.stack([inside[targets == number].mean(axis=0) for number in range(classes)])
    own = inside - means[targets]
    n, width = moved.shape
    rank = basis.shape[1]
    whole = float((moved.astype(np.float64) ** 2).sum())
    left = max(whole - float((inside**2).sum()), 0.0)
    # Mean variance in any direction: of all photos, and of photos around the mean of their class.
    in_all = whole / (n * width)
    in_class = (left + float((own**2).sum())) / (n * width)
    if in_class < _LEAST_VARIANCE:
        return None
    outside = left / (n * max(width - rank, 1))
    within = _whitening(own.T @ own / n, in_class)
    total = _whitening(inside.T @ inside / n, in_all)
    variance = (1 - _SHRINKAGE) * outside
    return FeatureDistance(
        centre=centre,
        basis=basis,
        within=within.astype(np.float32),
        total=total.astype(np.float32),
        means=(means @ within).astype(np.float32),
        outside=1 / (variance + _SHRINKAGE * in_class) - 1 / (variance + _SHRINKAGE * in_all),
    )


def out_of_fold_distance(
    embeddings: NDArray[np.floating], targets: NDArray[np.integer], classes: int, folds: NDArray[np.integer]
) -> NDArray[np.float64] | None:
    """Each training photo's score by a distance that was fitted without its fold, ``[N]``.

    Returns:
        ``None`` where a fold leaves too few photos.
    """
    scores = np.empty(len(embeddings))
    for fold in np.unique(folds):
        here = folds == fold
        distance = fit_distance(embeddings[~here], targets[~here], classes)
        if distance is None:
            return None
        scores[here] = distance.score(embeddings[here])
    return scores


def fit_unknown(
    logits: NDArray[np.floating],
    distance: NDArray[np.float64] | None,
    *,
    refused: float = REFUSED,
    observations: int | None = None,
) -> Unknown | None:
    """The rule, from photos of the classes that the model was not fitted to.

    Args:
        logits: ``[N, C]``, divided by the temperature.
        distance: Their scores, ``[N]``; without them the energy decides alone.
        refused: Share of such photos that may be taken for unknown.
        observations: How many of the photos are independent of each other: copies and frames of one sequence are one.

    Returns:
        ``None`` where there are too few photos to set a threshold.
    """
    if len(logits) < FEWEST:
        return None
    scales = {"energy": _scale(energy(logits))}
    if distance is not None:
        scales["distance"] = _scale(distance)
    method = "energy" if distance is None else "energy_mahalanobis"
    rule = Unknown.model_validate({"method": method, "threshold": 0.0, **scales})
    scores = np.sort(known_scores(rule, logits, distance))
    return rule.model_copy(update={"threshold": float(scores[_rank(len(scores), observations, refused) - 1])})


def _rank(photos: int, observations: int | None, refused: float) -> int:
    """Which of the scores, counted from the lowest, is the threshold.

    Too few observations can promise nothing about so small a share: then no photo that was held out is refused.
    """
    count = photos if observations is None else observations
    return max(1, tolerance_rank(count, refused) * photos // count)


def auroc(known: NDArray[np.floating], unknown: NDArray[np.floating]) -> float:
    """Probability that a known photo has a higher score than an unknown one; ties count half."""
    values = np.concatenate([known, unknown])
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    total = ranks[: len(known)].sum() - len(known) * (len(known) + 1) / 2
    return float(total / (len(known) * len(unknown)))


def false_positive_rate(known: NDArray[np.floating], unknown: NDArray[np.floating], *, kept: float = 0.95) -> float:
    """Share of unknown photos that pass where the share ``kept`` of known ones does."""
    rank = len(known) - math.ceil(kept * len(known) - 1e-9)
    return float((unknown >= np.sort(known)[rank]).mean())


def _scale(scores: NDArray[np.float64]) -> Scale:
    return Scale(mean=float(scores.mean()), deviation=max(float(scores.std()), 1e-9))


def _whitening(covariance: NDArray[np.float64], variance: float) -> NDArray[np.float64]:
    """The matrix ``W`` with ``W W' = (shrunk covariance)^-1``."""
    shrunk = (1 - _SHRINKAGE) * covariance + _SHRINKAGE * variance * np.eye(len(covariance))
    values, vectors = np.linalg.eigh(shrunk)
    result: NDArray[np.float64] = vectors / np.sqrt(values)
    return result


def _leading_directions(rows: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Orthonormal ``[D, count]`` that hold most of the rows' variance.

    By subspace iteration (Halko, Martinsson and Tropp 2011): a full decomposition of a thousand photos takes half a
    second, this some hundredths.
    """
    if min(rows.shape) <= 2 * count:
        return np.ascontiguousarray(np.linalg.svd(rows, full_matrices=False)[2][:count].T)
    start = np.random.default_rng(0).standard_normal((rows.shape[1], count + _OVERSAMPLED)).astype(np.float32)
    basis = np.linalg.qr(rows.T @ (rows @ start))[0]
    for _ in range(_POWERS - 1):
        basis = np.linalg.qr(rows.T @ (rows @ basis))[0]
    turned = np.linalg.svd(rows @ basis, full_matrices=False)[2][:count]
    return np.ascontiguousarray(basis @ turned.T)
