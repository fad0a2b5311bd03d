"""An order of classes in which those that are confused stand together. NumPy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def confused_together(matrix: NDArray[np.integer]) -> list[int]:
    """Seriate a confusion matrix.

    Classes are joined by average linkage, the most confused first; whenever two chains join, they are turned so that
    their most confused ends meet. Classes that are never confused keep their order.

    Args:
        matrix: ``[C, C]``, photos by true and answered class.

    Returns:
        Positions in the new order.
    """
    counts = matrix.astype(np.float64)
    totals = np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    likeness = counts / totals
    likeness = (likeness + likeness.T) / 2
    np.fill_diagonal(likeness, 0.0)
    chains = [[index] for index in range(len(counts))]
    link = likeness.copy()
    while len(chains) > 1 and link.max() > 0:
        first, second = sorted(int(index) for index in np.unravel_index(link.argmax(), link.shape))
        sizes = len(chains[first]), len(chains[second])
        mean = (sizes[0] * link[first] + sizes[1] * link[second]) / sum(sizes)
        link[first], link[:, first] = mean, mean
        link[first, first] = 0.0
        link = np.delete(np.delete(link, second, axis=0), second, axis=1)
        chains[first] = _joined(chains[first], chains.pop(second), likeness)
    return [index for chain in chains for index in chain]


def _joined(first: list[int], second: list[int], likeness: NDArray[np.float64]) -> list[int]:
    ways = [(a, b) for a in (first, first[::-1]) for b in (second, second[::-1])]
    best = max(range(len(ways)), key=lambda way: (likeness[ways[way][0][-1], ways[way][1][0]], -way))
    return ways[best][0] + ways[best][1]
