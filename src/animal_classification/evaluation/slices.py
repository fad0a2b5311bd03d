"""Results on parts of the photos: where a model is weaker than its accuracy says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from animal_classification.evaluation.resampling import share_interval
from animal_classification.evaluation.result import Slice

if TYPE_CHECKING:
    from animal_classification.data.manifest import Record

# Below this a share says nothing.
FEWEST = 5
GROUPS_SHOWN = 30
_ROUNDS = 500
_THIRDS = (1 / 3, 2 / 3)


def slices(
    rows: Sequence[Record],
    right: NDArray[np.bool_],
    confidence: NDArray[np.float64],
    brightness: NDArray[np.float64],
    units: NDArray[np.integer],
) -> list[Slice]:
    """By group (the largest), by the shorter side in thirds, by brightness in thirds; arrays are ``[len(rows)]``."""
    sides = np.array([min(row.width or 0, row.height or 0) for row in rows], dtype=np.float64)
    parts = [*_groups(rows), *_thirds("size", sides, " px"), *_thirds("brightness", brightness, "")]
    return [
        Slice(
            by=by,
            name=name,
            n=int(here.sum()),
            accuracy=share_interval(right[here], units[here], rounds=_ROUNDS),
            confidence=float(confidence[here].mean()),
        )
        for by, name, here in parts
    ]


_Found = Iterator[tuple[Literal["group", "size", "brightness"], str, NDArray[np.bool_]]]


def _groups(rows: Sequence[Record]) -> _Found:
    counts = Counter(row.group for row in rows if row.group is not None)
    if len(counts) < 2:
        return
    for name, count in counts.most_common(GROUPS_SHOWN):
        if count >= FEWEST:
            yield "group", name, np.array([row.group == name for row in rows])


def _thirds(by: Literal["size", "brightness"], values: NDArray[np.float64], unit: str) -> _Found:
    if len(values) < 3 * FEWEST:
        return
    low, high = np.quantile(values, _THIRDS)
    parts = (
        (f"up to {low:.0f}{unit}", values <= low),
        (f"{low:.0f} to {high:.0f}{unit}", (values > low) & (values <= high)),
        (f"above {high:.0f}{unit}", values > high),
    )
    if all(here.sum() >= FEWEST for _, here in parts):
        for name, here in parts:
            yield by, name, here
