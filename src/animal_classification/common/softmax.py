"""Softmax and its logarithmic companion, both safe for large logits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Softmax over the last axis, in double precision so that sums over many classes stay exact."""
    result: NDArray[np.float64] = np.subtract(logits, logits.max(axis=-1, keepdims=True), dtype=np.float64)
    # In place: of many photos and a thousand classes, each copy takes hundreds of megabytes.
    np.exp(result, out=result)
    result /= result.sum(axis=-1, keepdims=True)
    return result


def logsumexp(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """The logarithm of the sum of the exponentials over the last axis, in double precision."""
    exact = logits.astype(np.float64)
    highest = exact.max(axis=-1)
    result: NDArray[np.float64] = highest + np.log(np.exp(exact - highest[..., None]).sum(axis=-1))
    return result
