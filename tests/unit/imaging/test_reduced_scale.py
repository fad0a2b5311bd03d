"""How far a JPEG decoded at reduced scale differs from one decoded in full; docs/imaging.md states these bounds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from animal_classification.imaging import PreprocessSpec, decode, preprocess
from tests.unit.imaging.drawing import encode, scene, textured

SPEC = PreprocessSpec()
MEAN_BOUND = 1.0  # grey levels, for any one photo
LARGE_BOUND = 8  # grey levels, for all but one pixel in a thousand


def distance(source: bytes | Path) -> np.ndarray:
    """Difference between the fast path and the exact one, in grey levels."""
    exact = preprocess(decode(source), SPEC)
    return np.abs(preprocess(source, SPEC).astype(int) - exact)


@pytest.mark.parametrize("size", [(1300, 1100), (2048, 1536), (4001, 3001)])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_drawn_photos(size: tuple[int, int], subsampling: int) -> None:
    picture = textured(1024, 768).repeat(4, axis=0).repeat(4, axis=1)[: size[1], : size[0]]
    found = distance(encode(picture, "JPEG", quality=90, subsampling=subsampling))
    assert found.mean() < MEAN_BOUND
    assert np.quantile(found, 0.999) <= LARGE_BOUND


def test_photos_below_four_times_the_size_take_the_exact_path() -> None:
    assert distance(encode(textured(1500, 1023), "JPEG")).max() == 0
    assert distance(encode(textured(1500, 1024), "JPEG")).max() > 0


@pytest.mark.photos(samples=True)
def test_real_photos(real_photos: dict[str, list[Path]]) -> None:
    for paths in real_photos.values():
        found = [distance(path) for path in paths[::8] + paths[-20:]]
        assert np.mean(found) < 0.5
        assert max(one.mean() for one in found) < MEAN_BOUND
        assert max(np.quantile(one, 0.999) for one in found) <= LARGE_BOUND


def test_min_side_is_kept() -> None:
    data = encode(scene(1000, 801), "JPEG")
    sides = {side: min(decode(data, min_side=side).shape[:2]) for side in (1, 100, 101, 200, 201, 400, 401, 801, 5000)}
    assert sides == {1: 101, 100: 101, 101: 201, 200: 201, 201: 401, 400: 401, 401: 801, 801: 801, 5000: 801}


def test_min_side_means_nothing_to_other_formats() -> None:
    assert decode(encode(scene(100, 80), "PNG"), min_side=8).shape == (80, 100, 3)
