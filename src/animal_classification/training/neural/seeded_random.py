"""Random numbers as functions of where they are used: of the seed, the epoch and the photo, never of what ran before.

A run that was killed therefore draws the same numbers after its restart as it would have drawn without.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finaliser (Steele, Lea and Flood 2014): every input bit changes about half of the output bits."""
    with np.errstate(over="ignore"):
        values = values + _GOLDEN
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        result: NDArray[np.uint64] = values ^ (values >> np.uint64(31))
    return result


def keys(seed: int, epoch: int, indices: NDArray[np.int64]) -> NDArray[np.uint64]:
    """A key for each photo of an epoch, ``[N]``."""
    start = mix(mix(np.array([seed], dtype=np.uint64)) ^ np.uint64(epoch))
    return mix(start ^ indices.astype(np.uint64))


def uniforms(keys_: NDArray[np.uint64], count: int) -> NDArray[np.float32]:
    """``count`` numbers in [0, 1) for each key, ``[N, count]``."""
    numbers = mix(keys_[:, None] ^ mix(np.arange(1, count + 1, dtype=np.uint64))[None, :])
    return ((numbers >> np.uint64(40)).astype(np.float32)) / np.float32(1 << 24)


def order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """The photos' numbers in the order of an epoch."""
    result: NDArray[np.int64] = np.argsort(keys(seed ^ 0x5EED, epoch, np.arange(count)), kind="stable")
    return result


def step_seed(seed: int, epoch: int, position: int) -> int:
    """What torch's generator starts a step with: for dropout, and whatever else a network draws."""
    return int(keys(seed ^ 0xD20, epoch, np.array([position]))[0] >> np.uint64(1))
