"""Small matrix products beside an engine that has all cores already."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", np.float32, np.float64)


def product(rows: NDArray[Number], matrix: NDArray[Number]) -> NDArray[Number]:
    """``rows [N, K] @ matrix [K, M]`` on the calling thread.

    NumPy's own product wakes a thread for each core, which then spins beside the engine's: deciding on 24 photos so
    took a fifth as long as inferring them. This one takes ten microseconds for a photo's 1280 numbers in 64 directions.
    """
    result: NDArray[Number] = np.einsum("nk,km->nm", rows, matrix)
    return result
