"""Small matrix products on one thread, beside an engine that uses all cores."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", np.float32, np.float64)


def product(rows: NDArray[Number], matrix: NDArray[Number]) -> NDArray[Number]:
    """``rows [N, K] @ matrix [K, M]`` on the calling thread.

    NumPy's own product wakes a thread for each core, which then spins beside the engine's: that way postprocessing
    24 photos took a fifth as long as inferring them. This one takes ten microseconds for the 1280 numbers of a photo in
    64 directions.
    """
    result: NDArray[Number] = np.einsum("nk,km->nm", rows, matrix)
    return result
