"""Changes of photos for measuring robustness: every one changes, keeps the shape, and gives the same again."""

from __future__ import annotations

import numpy as np
import pytest

from animal_classification.imaging.corruptions import CORRUPTIONS


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_change_is_the_same_for_the_same_photo(name: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (96, 96, 3)).astype(np.uint8)
    before = pixels.copy()
    once, again = CORRUPTIONS[name].apply(pixels), CORRUPTIONS[name].apply(pixels)
    assert (once.shape, once.dtype) == (pixels.shape, np.uint8)
    assert (once == again).all()
    assert (once != before).any()
    assert (pixels == before).all(), "the photo itself is left alone"


def test_noise_differs_from_photo_to_photo() -> None:
    grey, lighter = (np.full((96, 96, 3), level, np.uint8) for level in (120, 121))
    noise = [CORRUPTIONS["noise"].apply(one).astype(int) - one for one in (grey, lighter)]
    assert (noise[0] != noise[1]).mean() > 0.5


def test_there_are_fifteen() -> None:
    assert len(CORRUPTIONS) == 15
