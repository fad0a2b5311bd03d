"""Non-maximum suppression: of boxes that lie on each other, the surest stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# What is compared with what: no picture has as many animals, and the work grows with the square.
_MOST_COMPARED = 2000


def suppressed(
    corners: NDArray[np.floating],
    scores: NDArray[np.floating],
    categories: NDArray[np.integer],
    *,
    iou: float,
    most: int,
) -> NDArray[np.intp]:
    """Greedy, within each category.

    Args:
        corners: ``[K, 4]``: left, top, right, bottom.
        scores: ``[K]``.
        categories: ``[K]``; boxes of different ones do not touch each other.
        iou: Intersection over union above which the less sure box goes.
        most: How many stay at most.

    Returns:
        Positions of those that stay, the surest first.
    """
    order = np.argsort(-scores, kind="stable")[:_MOST_COMPARED]
    kept: list[int] = []
    while len(order) and len(kept) < most:
        best, order = int(order[0]), order[1:]
        kept.append(best)
        overlaps = intersection_over_union(corners[best], corners[order]) > iou
        order = order[~(overlaps & (categories[order] == categories[best]))]
    return np.array(kept, dtype=np.intp)


def intersection_over_union(one: NDArray[np.floating], others: NDArray[np.floating]) -> NDArray[np.float64]:
    """Of one box ``[4]`` with each of ``[K, 4]``, as corners; 0 where both are empty.

    >>> intersection_over_union(np.array([0, 0, 2, 2]), np.array([[1, 0, 3, 2], [5, 5, 6, 6]])).round(3).tolist()
    [0.333, 0.0]
    """
    sides = np.minimum(one[2:], others[:, 2:]) - np.maximum(one[:2], others[:, :2])
    shared = np.clip(sides, 0, None).prod(axis=1)
    union = _area(one[None])[0] + _area(others) - shared
    result: NDArray[np.float64] = np.divide(shared, union, out=np.zeros(len(others)), where=union > 0)
    return result


def _area(corners: NDArray[np.floating]) -> NDArray[np.floating]:
    areas: NDArray[np.floating] = np.clip(corners[:, 2:] - corners[:, :2], 0, None).prod(axis=1)
    return areas
