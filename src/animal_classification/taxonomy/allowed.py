"""Which of a model's labels may be answered, and why the others may not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class AllowedLabels:
    """A rule over labels: a species list, a geofence, or both (``one & other``).

    Attributes:
        mask: bool ``[L]``.
        why_not: For each label what forbids it, such as ``is not in list.txt``; empty where it is allowed.
    """

    mask: NDArray[np.bool_]
    why_not: tuple[str, ...]

    @classmethod
    def only(cls, labels: Collection[int], count: int, why_not: str) -> AllowedLabels:
        """Those of ``count`` labels whose indices are given."""
        mask = np.zeros(count, np.bool_)
        mask[list(labels)] = True
        return cls(mask, tuple("" if allowed else why_not for allowed in mask.tolist()))

    def __and__(self, other: AllowedLabels) -> AllowedLabels:
        reasons = zip(self.why_not, other.why_not, strict=True)
        return AllowedLabels(self.mask & other.mask, tuple(one or another for one, another in reasons))
