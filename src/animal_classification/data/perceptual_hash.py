"""A perceptual hash: 255 signs of a picture's lowest frequencies.

Two copies of a picture, resized, recompressed, brightened or turned grey, differ in at most 40 of them; two different
pictures in more than 80 (docs/data.md has the measurements). The signs of a mirrored picture follow without looking at
it, because mirroring turns round exactly the odd columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 32
FREQUENCIES = 16
LENGTH = FREQUENCIES * FREQUENCIES // 8  # bytes
NEAR = 40
# Below this spread of grey values there is no picture, only noise, whose signs mean nothing.
_FLAT = 2.0
# Distances computed at once, so that they stay in the processor's cache.
_BLOCK = 500_000

_k = np.arange(SIDE)
_COSINES = np.cos(np.pi * (2 * _k[None] + 1) * _k[:FREQUENCIES, None] / (2 * SIDE))
_ODD_COLUMNS = (np.arange(FREQUENCIES * FREQUENCIES) % FREQUENCIES % 2 == 1)[1:]
_MIRROR = np.packbits(_ODD_COLUMNS).view(np.uint64)


def fingerprint(pixels: NDArray[np.uint8] | Image.Image) -> bytes | None:
    """The fingerprint of a decoded photo, 32 bytes; ``None`` where all pixels are alike."""
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    grey = picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    values = np.asarray(grey, dtype=np.float64)
    if values.std() < _FLAT:
        return None
    signs = (_COSINES @ values @ _COSINES.T).ravel()[1:] > 0
    return np.packbits(signs).tobytes()


def near_sets(fingerprints: Sequence[bytes], *, limit: int = NEAR) -> NDArray[np.int64]:
    """Which fingerprints belong together: int64 ``[N]``, for each the position of the first of its set.

    Two are in one set where a chain leads from one to the other whose links are at most ``limit`` apart, mirrored or
    not. Pairs are never listed: 20,000 frames of a still camera have 200 million. Memory grows with ``N``, time with
    its square at worst, and less where many are alike: within one set nothing is compared any more.
    """
    count = len(fingerprints)
    first = np.arange(count)
    if count < 2:
        return first
    words = np.frombuffer(b"".join(fingerprints), dtype=np.uint64).reshape(count, -1)
    rows = max(1, _BLOCK // count)
    for start in range(0, count, rows):
        block = np.arange(start, min(start + rows, count))
        later = _worth_comparing(first, block)
        if not len(later):
            continue
        near = _distances(words[block], words[later]) <= limit
        for row, hits in zip(block, near, strict=True):
            first = _joined(first, int(row), later[hits])
    return first


def _worth_comparing(first: NDArray[np.int64], block: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions from the block's start on, without those that are in one set with all of the block."""
    later = np.arange(block[0], len(first))
    one_set = (first[block] == first[block[0]]).all()
    return later[first[later] != first[block[0]]] if one_set else later


def _joined(first: NDArray[np.int64], row: int, near: NDArray[np.int64]) -> NDArray[np.int64]:
    """``first`` with the set of ``row`` and those of ``near`` made one."""
    sets = first[near]
    if not (sets != first[row]).any():
        return first
    moved = np.arange(len(first))
    moved[sets] = moved[first[row]] = min(int(sets.min()), int(first[row]))
    return moved[first]


def _distances(block: NDArray[np.uint64], others: NDArray[np.uint64]) -> NDArray[np.uint16]:
    """Signs that differ, mirrored or not, whichever is less: ``[len(block), len(others)]``."""
    rows, columns = block[:, None], others[None]
    return np.minimum(_differences(rows, columns), _differences(rows ^ _MIRROR, columns))


def any_near(fingerprints: NDArray[np.uint8], known: NDArray[np.uint8], *, limit: int = NEAR) -> NDArray[np.bool_]:
    """Which of some pictures are copies of known ones, mirrored or not.

    Args:
        fingerprints: uint8 ``[N, 32]``.
        known: uint8 ``[K, 32]``, K at least 1.
        limit: How far two fingerprints of one picture may be apart.
    """
    words, others = (np.ascontiguousarray(part).view(np.uint64) for part in (fingerprints, known))
    rows = max(1, 500_000 // len(others))
    found = [np.zeros(0, dtype=np.bool_)]
    for start in range(0, len(words), rows):
        block = words[start : start + rows, None]
        distance = np.minimum(_differences(block, others[None]), _differences(block ^ _MIRROR, others[None]))
        found.append(distance.min(axis=1) <= limit)
    return np.concatenate(found)


def _differences(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> NDArray[np.uint16]:
    # Word by word: a last axis of four would cost more to sum than everything else here.
    total = np.zeros(np.broadcast_shapes(first.shape, second.shape)[:2], dtype=np.uint16)
    for word in range(first.shape[2]):
        total += np.bitwise_count(first[..., word] ^ second[..., word])
    return total
