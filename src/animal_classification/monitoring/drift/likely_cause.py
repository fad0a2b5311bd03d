"""What photos that look otherwise look most like: the direction in which the twelve numbers moved names the cause."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# How the means of the twelve numbers of 1,453 photos of 22 animals move under the changes of ``imaging.corruptions``,
# in deviations. Only directions are compared, so that a part of the photos, or half as much fog, gives the same answer.
_SHIFTS: tuple[tuple[str, tuple[float, ...]], ...] = (
    ("underexposed", (-1.8, -1.9, 0.8, -0.4, 0.0, -0.2, -1.3, -1.2, 0.0, -0.4, -0.1, 0.0)),
    ("overexposed", (1.6, 0.7, -0.2, 2.2, -0.3, 0.1, -1.4, 0.7, 0.0, -0.3, 0.0, -0.2)),
    ("taken at night in infra-red", (-1.8, -1.3, 1.3, -0.4, -2.0, -0.4, -0.3, 1.2, 0.1, 3.0, -1.2, 0.3)),
    ("out of focus or moved", (0.0, -0.3, -0.1, 0.0, -0.1, 0.0, -0.1, -3.0, -0.2, -1.2, 0.0, 0.7)),
    ("taken through fog or a dirty lens", (1.1, -1.9, -0.5, -0.4, -1.3, -0.2, -1.3, -1.2, 0.0, -0.4, -0.1, 0.0)),
    ("taken by a noisy sensor", (0.0, 0.1, 0.1, -0.1, 0.7, 0.0, 0.5, 2.9, 0.1, 3.0, 0.0, -0.4)),
    ("strongly compressed", (0.0, 0.0, 0.0, 0.0, -0.1, 0.0, -0.7, 0.0, -0.1, -1.6, 0.0, -0.1)),
    ("taken from farther away", (-0.2, -1.7, -0.4, -0.3, -1.5, -0.3, -3.0, 1.0, -0.1, 0.3, -0.5, -0.5)),
)
# One number alone must not decide by being large.
_MOST = 3.0
# Cosine from which a cause is named. Two different causes have 0.6 at most, but for fog and distance.
_ALIKE = 0.85


def likely_cause(shifts: NDArray[np.floating]) -> str | None:
    """What photos look like whose twelve numbers moved like this; ``None`` where it is nothing known.

    Args:
        shifts: ``[12]``, in deviations of the reference.

    >>> likely_cause(np.array([-1.0, -1.1, 0.5, -0.2, 0.0, 0.0, -0.7, -0.6, 0.0, -0.2, 0.0, 0.0]))
    'underexposed'
    """
    moved = np.clip(shifts, -_MOST, _MOST)
    known = np.array([shift for _, shift in _SHIFTS])
    lengths = np.linalg.norm(known, axis=1) * max(float(np.linalg.norm(moved)), 1e-9)
    cosines = known @ moved / lengths
    best = int(cosines.argmax())
    return _SHIFTS[best][0] if cosines[best] >= _ALIKE else None
