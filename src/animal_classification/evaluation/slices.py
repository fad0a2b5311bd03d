"""Results on slices of the photos: where a model is weaker than its accuracy says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from animal_classification.evaluation.confidence_intervals import share_interval
from animal_classification.evaluation.result import Slice
from animal_classification.evaluation.significance_tests import holm, weaker_p_value

if TYPE_CHECKING:
    from animal_classification.data.manifest import ManifestRow
    from animal_classification.evaluation.eval_set import Units

# Below this a share says nothing.
FEWEST = 5
GROUPS_SHOWN = 30
_THIRDS = (1 / 3, 2 / 3)


def slices(
    rows: Sequence[ManifestRow],
    right: NDArray[np.bool_],
    confidence: NDArray[np.float64],
    brightness: NDArray[np.float64],
    units: Units,
) -> list[Slice]:
    """By group (the largest), by the shorter side in thirds, by brightness in thirds; arrays are ``[len(rows)]``.

    Within a group, and beside others, its photos are as independent as their pictures are: that they are of one group
    is what the slice is about.
    """
    sides = np.array([min(row.width or 0, row.height or 0) for row in rows], dtype=np.float64)
    parts = [*_groups(rows), *_thirds("size", sides, " px"), *_thirds("brightness", brightness, "")]
    own = [units.pictures if by == "group" else units.all for by, _, _ in parts]
    p_values = [weaker_p_value(right, here, of) for (_, _, here), of in zip(parts, own, strict=True)]
    return [
        Slice(
            by=by,
            name=name,
            n=int(here.sum()),
            units=len(np.unique(of[here])),
            accuracy=share_interval(right[here], of[here]),
            confidence=float(confidence[here].mean()),
            p_value=p_value,
            weaker=weaker,
        )
        for (by, name, here), of, p_value, weaker in zip(parts, own, p_values, holm(p_values), strict=True)
    ]


_Found = Iterator[tuple[Literal["group", "size", "brightness"], str, NDArray[np.bool_]]]


def _groups(rows: Sequence[ManifestRow]) -> _Found:
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
