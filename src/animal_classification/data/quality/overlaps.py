"""Pictures of which one is a part of the other, or that share most of what they show.

A fingerprint does not survive a crop of a twentieth. Embeddings propose pairs; pixels decide, by the correlation of the
two pictures laid over each other at every offset and several scales. Looks alike is not the same picture: of 441 pairs
that embeddings proposed for animals22, 18 correlate above 0.92, and all 18 are crops (docs/data.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from animal_classification import imaging
from animal_classification.common.parallel import ordered_map
from animal_classification.errors import ImageError

SIMILAR = 0.75
NEIGHBOURS = 5
SAME = 0.92
_WORTH_A_CLOSER_LOOK = 0.8
_COARSE, _FINE = 32, 64
_SHARED = 0.5
_COARSE_SCALES = tuple(2.0 ** (step / 5) for step in range(-5, 6))
_FINE_SCALES = tuple(2.0 ** (step / 10) for step in range(-10, 11))

Grey = NDArray[np.float64]


def find_crops(files: Sequence[Path], embeddings: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Pairs of files that show one picture, as positions ``(i, j)`` with ``i < j``.

    Args:
        files: The photos.
        embeddings: Theirs, ``[N, D]``; rows of NaN are left out.
    """
    limits = imaging.Limits.of_container()
    kept = lru_cache(maxsize=4096)(lambda index: _load(files[index], limits))
    pairs = similar_pairs(embeddings)

    def compare(batch: Sequence[tuple[int, int]]) -> list[bool]:
        return [_is_same(kept(first), kept(second)) for first, second in batch]

    return [pair for pair, same in zip(pairs, ordered_map(compare, pairs), strict=True) if same]


def similar_pairs(embeddings: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Pairs whose embeddings point nearly the same way, as far as one is among the nearest of the other."""
    good = np.flatnonzero(np.isfinite(embeddings).all(axis=1)) if embeddings.size else np.empty(0, dtype=np.int64)
    if len(good) < 2:
        return []
    vectors = embeddings[good] / np.maximum(np.linalg.norm(embeddings[good], axis=1, keepdims=True), 1e-12)
    count = min(NEIGHBOURS, len(good) - 1)
    pairs: set[tuple[int, int]] = set()
    rows = max(1, 32_000_000 // (4 * len(good)))  # so that a block stays below 32 MB
    for start in range(0, len(good), rows):
        cosine = vectors[start : start + rows] @ vectors.T
        cosine[np.arange(len(cosine)), start + np.arange(len(cosine))] = -1
        nearest = np.argpartition(-cosine, count - 1, axis=1)[:, :count]
        for row, column in zip(np.repeat(np.arange(len(cosine)), count), nearest.ravel(), strict=True):
            if cosine[row, column] >= SIMILAR:
                first, second = sorted((int(good[start + row]), int(good[column])))
                pairs.add((first, second))
    return sorted(pairs)


def _is_same(first: Image.Image | None, second: Image.Image | None) -> bool:
    if first is None or second is None:
        return False
    return (
        _likeness(first, second, _COARSE, _COARSE_SCALES) >= _WORTH_A_CLOSER_LOOK
        and _likeness(first, second, _FINE, _FINE_SCALES) >= SAME
    )


def _load(file: Path, limits: imaging.Limits) -> Image.Image | None:
    try:
        return Image.fromarray(imaging.decode(file, min_side=2 * _FINE, limits=limits)).convert("L")
    except ImageError:
        return None


def _likeness(first: Image.Image, second: Image.Image, side: int, scales: Sequence[float]) -> float:
    still = _Still(_fit(first, side), room=round(side * max(scales)))
    return max(still.correlation(_fit(second, side * scale)) for scale in scales)


def _fit(picture: Image.Image, side: float) -> Grey:
    factor = side / max(picture.size)
    size = (max(8, round(picture.width * factor)), max(8, round(picture.height * factor)))
    return np.asarray(picture.resize(size, Image.Resampling.BOX), dtype=np.float64)


class _Still:
    """A picture that others are moved over; correlation of the shared part at all offsets at once (Padfield 2012)."""

    def __init__(self, picture: Grey, room: int) -> None:
        # Transforms of lengths with large prime factors take several times as long.
        self._shape = tuple(-(-(length + room) // 16) * 16 for length in picture.shape)
        self._size = picture.size
        centred = picture - picture.mean()
        self._ones = np.fft.rfft2(np.ones_like(centred), self._shape)
        self._values = np.fft.rfft2(centred, self._shape)
        self._squares = np.fft.rfft2(centred**2, self._shape)

    def correlation(self, picture: Grey) -> float:
        """The highest, over offsets at which at least half of the smaller picture is shared."""
        centred = picture - picture.mean()
        ones = self._moved(np.ones_like(centred))
        values, squares = self._moved(centred), self._moved(centred**2)
        shared = np.maximum(np.round(self._back(self._ones * ones)), 0)
        count = np.maximum(shared, 1)
        mine, theirs = self._back(self._values * ones), self._back(self._ones * values)
        product = self._back(self._values * values) - mine * theirs / count
        my_spread = self._back(self._squares * ones) - mine**2 / count
        their_spread = self._back(self._ones * squares) - theirs**2 / count
        spread = np.sqrt(np.maximum(my_spread, 0) * np.maximum(their_spread, 0))
        # A patch without texture correlates with anything.
        valid = (shared >= _SHARED * min(self._size, picture.size)) & (spread > 0.1 * count)
        return float(np.max(product[valid] / spread[valid], initial=-1.0))

    def _moved(self, picture: Grey) -> NDArray[np.complex128]:
        result: NDArray[np.complex128] = np.conj(np.fft.rfft2(picture, self._shape))
        return result

    def _back(self, spectrum: NDArray[np.complex128]) -> Grey:
        result: Grey = np.fft.irfft2(spectrum, self._shape)
        return result
