"""Folds for cross-validation: stratified, with nothing torn apart that belongs together, and no random generator."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def deal(targets: NDArray[np.int64], groups: Sequence[int], keys: Sequence[str], count: int) -> NDArray[np.int64]:
    """Give every photo the number of the fold that does not learn from it.

    Args:
        targets: Class numbers ``[N]``.
        groups: Photos with the same number stay together, ``[N]``.
        keys: Text that stands for the photo (its hash): decides the order in which photos are dealt.
        count: How many folds.

    Returns:
        ``[N]``, from 0 to ``count - 1``.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    order = sorted(
        members.values(),
        key=lambda unit: (-len(unit), hashlib.sha256(min(keys[index] for index in unit).encode()).digest()),
    )
    classes = int(targets.max()) + 1
    have = np.zeros((count, classes))
    result = np.empty(len(targets), dtype=np.int64)
    for unit in order:
        wanted = np.bincount(targets[unit], minlength=classes)
        # The fold that has fewest of these classes; of equals, the smallest.
        fold = int(np.lexsort((have.sum(axis=1), have @ wanted))[0])
        have[fold] += wanted
        result[unit] = fold
    return result
