"""Two-sample tests, on NumPy alone: SciPy would add 100 MB and 0.3 s to a server for three formulas.

``tests/unit/monitoring/test_two_sample_tests.py`` compares each with SciPy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PERMUTATIONS = 499
# Where a relabelling is no more than a few counts.
_COUNTS_DRAWN = 9_999
# Pairs that the median distance is taken from: more cost memory and change nothing.
_MEDIAN_OF = 1000


@dataclass(frozen=True)
class Relabellings:
    """Which photos are called the window, as they were and in ``PERMUTATIONS`` random ways.

    Attributes:
        weights: float32 ``[N, 1 + B]``: 1/w for a photo of the window and -1/r for one of the reference, so that a
            column times values is the difference of their means. The first column is what was observed.
    """

    weights: NDArray[np.float32]

    @classmethod
    def within(
        cls, window: NDArray[np.bool_], strata: NDArray[np.int64], generator: np.random.Generator
    ) -> Relabellings:
        """Exchange photos within a stratum only, so that different shares of the strata are no difference.

        Args:
            window: ``[N]``: which photos are the window's.
            strata: ``[N]``: equal numbers for photos that may be exchanged.
            generator: Where chance comes from.
        """
        called = np.repeat(window[:, None], PERMUTATIONS + 1, axis=1)
        for stratum in np.unique(strata):
            members = np.flatnonzero(strata == stratum)
            count = int(window[members].sum())
            if 0 < count < len(members):
                keys = generator.random((PERMUTATIONS, len(members)), dtype=np.float32)
                chosen = np.argpartition(keys, count - 1, axis=1)[:, :count]
                block = np.zeros((PERMUTATIONS, len(members)), np.bool_)
                np.put_along_axis(block, chosen, values=True, axis=1)
                called[members, 1:] = block.T
        inside = max(1, int(window.sum()))
        outside = max(1, len(window) - inside)
        return cls(np.where(called, np.float32(1 / inside), np.float32(-1 / outside)))


def permutation_p(statistics: NDArray[np.floating]) -> float:
    """How often chance gives at least the first of ``statistics`` ``[1 + B]``; never zero (Phipson and Smyth 2010)."""
    observed = float(statistics[0])
    least = observed - 1e-6 * abs(observed)  # equal ones differ in their last digits
    return float((1 + int((statistics[1:] >= least).sum())) / len(statistics))


def mmd(embedding: NDArray[np.float32], relabellings: Relabellings) -> tuple[float, float]:
    """Maximum mean discrepancy (Gretton et al. 2012) with the kernel exp(-|x - y|^2 / median).

    Args:
        embedding: float32 ``[N, D]``, of length one; window and reference together.
        relabellings: Of the same photos.

    Returns:
        The squared discrepancy less its mean over the permutations, and p.
    """
    distances = np.maximum(2.0 - 2.0 * (embedding @ embedding.T), 0.0)
    step = max(1, len(distances) // _MEDIAN_OF)
    some = distances[::step, ::step]
    median = float(np.median(some[np.triu_indices(len(some), 1)])) if len(some) > 1 else 1.0
    kernel = np.exp(distances / -max(median, 1e-6), out=distances)
    weights = relabellings.weights
    found = np.einsum("nb,nb->b", weights, kernel @ weights)
    return float(found[0] - found[1:].mean()), permutation_p(found)


def largest_mean_difference(values: NDArray[np.floating], relabellings: Relabellings) -> float:
    """P of the largest |difference of means|, in standard deviations, over the columns of ``values`` ``[N, K]``."""
    scaled = (values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1e-6)
    differences = relabellings.weights.T @ scaled.astype(np.float32)
    return permutation_p(np.abs(differences).max(axis=1))


def kolmogorov_smirnov(window: NDArray[np.floating], reference: NDArray[np.floating]) -> tuple[float, float]:
    """The two-sided Kolmogorov-Smirnov test of ``[W]`` against ``[R]``.

    Returns:
        The largest difference of the distribution functions, positive where the window's values are smaller, and p by
        the asymptotic formula with the correction of Stephens (1970).
    """
    one, other = np.sort(window), np.sort(reference)
    both = np.concatenate([one, other])
    gaps = np.searchsorted(one, both, "right") / len(one) - np.searchsorted(other, both, "right") / len(other)
    gap = float(gaps[np.abs(gaps).argmax()])
    root = float(np.sqrt(len(one) * len(other) / (len(one) + len(other))))
    return gap, _kolmogorov((root + 0.12 + 0.11 / root) * abs(gap))


def _kolmogorov(value: float) -> float:
    """P(K >= value) for Kolmogorov's distribution."""
    if value < 0.2:  # the series alternates and is one to twelve digits
        return 1.0
    terms = np.arange(1, 101)
    series = 2.0 * ((-1.0) ** (terms - 1) * np.exp(-2.0 * (terms * value) ** 2)).sum()
    return float(min(1.0, max(0.0, series)))


def lower_tail(window: NDArray[np.floating], reference: NDArray[np.floating], generator: np.random.Generator) -> float:
    """One-sided p: the window ``[W]`` holds more of the lowest values than the reference ``[R]``, and lower ones.

    A linear rank test (Hajek, Sidak and Sen 1999, chapter 4) with scores for a few strange values among many usual
    ones. Each value scores the square of how often the values of both samples can be halved before it is out: the
    upper half scores 0, the next quarter 1, the next eighth 4, and so on. A test of the share below one quantile sees
    that a value is low, and not how low: of windows with a tenth of new animals, it finds a third less
    (docs/measurements/drift.md). P comes from random relabellings, drawn as counts of each score.
    """
    values = np.concatenate([window, reference])
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - count / 2  # equal values share their ranks
    halvings = np.floor(-np.log2(middle / len(values))).astype(np.int64)[place]
    totals = np.bincount(halvings)
    observed = np.bincount(halvings[: len(window)], minlength=len(totals))
    drawn = generator.multivariate_hypergeometric(totals, len(window), size=_COUNTS_DRAWN, method="marginals")
    counts = np.concatenate([observed[None], drawn])
    return permutation_p((counts @ np.arange(len(totals)) ** 2).astype(np.float64))


def permuted_chi_squared(
    window: NDArray[np.int64], reference: NDArray[np.int64], generator: np.random.Generator
) -> float:
    """P of the chi-squared statistic of labels ``[W]`` and ``[R]``, by permutation: many classes are rare."""
    labels, codes = np.unique(np.concatenate([window, reference]), return_inverse=True)
    totals = np.bincount(codes, minlength=len(labels))
    observed = np.bincount(codes[: len(window)], minlength=len(labels))
    # The counts of a random relabelling, without making it.
    drawn = generator.multivariate_hypergeometric(totals, len(window), size=PERMUTATIONS, method="marginals")
    counts = np.concatenate([observed[None], drawn])
    expected = totals * (len(window) / len(codes))
    statistics = ((counts - expected) ** 2 / expected).sum(axis=1)
    return permutation_p(statistics)
