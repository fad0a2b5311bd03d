"""A perceptual hash: 255 signs of a picture's lowest frequencies.

Two copies of a picture, resized, recompressed, brightened or turned grey, differ in at most 40 of them; two different
pictures in more than 80 (docs/data.md has the measurements). The signs of a mirrored picture follow without looking at
it, because mirroring turns round exactly the odd columns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 32
FREQUENCIES = 16
LENGTH = FREQUENCIES * FREQUENCIES // 8  # bytes
NEAR = 40
# Below this spread of grey values there is no picture, only noise, whose signs mean nothing.
_FLAT = 2.0

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


def near_pairs(fingerprints: list[bytes], *, limit: int = NEAR) -> list[tuple[int, int, int]]:
    """All pairs that are at most ``limit`` apart, mirrored or not, as ``(i, j, distance)`` with ``i < j``."""
    if len(fingerprints) < 2:
        return []
    words = np.frombuffer(b"".join(fingerprints), dtype=np.uint64).reshape(len(fingerprints), -1)
    rows = max(1, 500_000 // len(words))  # so that a block stays in the processor's cache
    found: list[tuple[int, int, int]] = []
    for start in range(0, len(words), rows):
        block, rest = words[start : start + rows, None], words[None, start:]
        distance = np.minimum(_differences(block, rest), _differences(block ^ _MIRROR, rest))
        # Every pair is met twice within the block, and every picture meets itself: keep what lies right of that.
        for i, j in zip(*np.nonzero(distance <= limit), strict=True):
            if i < j:
                found.append((start + int(i), start + int(j), int(distance[i, j])))
    return found


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
