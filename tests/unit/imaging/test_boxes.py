"""A part of a photo, given as a box in fractions of the upright photo."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from animal_classification.errors import UsageError
from animal_classification.imaging import PreprocessSpec, crops, decode, preprocess
from animal_classification.imaging.geometry import Box, pixel_box, require_box
from tests.unit.imaging.drawing import encode, exif, textured
from tests.unit.imaging.test_orientation import UNDO, stored

SPEC = PreprocessSpec(size=24)
UPRIGHT = textured(120, 90)
BOX: Box = (0.25, 0.1, 0.75, 0.6)


def cut(pixels: np.ndarray, box: Box) -> np.ndarray:
    left, top, right, bottom = pixel_box(box, pixels.shape[1], pixels.shape[0])
    return pixels[top:bottom, left:right]


@pytest.mark.parametrize("orientation", UNDO)
def test_the_box_is_of_the_photo_as_people_see_it(orientation: int) -> None:
    data = encode(stored(UPRIGHT, orientation), "PNG", exif=exif(orientation))
    exact = preprocess(cut(decode(data), BOX), SPEC).astype(int)
    assert np.abs(preprocess(data, SPEC, box=BOX) - exact).max() <= 1  # sideways, Pillow rounds in the other order


@given(st.tuples(*[st.integers(0, 100)] * 4))
def test_it_gives_what_a_cut_out_photo_gives(ends: tuple[int, int, int, int]) -> None:
    (left, right), (top, bottom) = sorted(ends[:2]), sorted(ends[2:])
    box = left / 101, top / 101, (right + 1) / 101, (bottom + 1) / 101
    assert np.array_equal(crops(UPRIGHT, SPEC, box=box), crops(np.ascontiguousarray(cut(UPRIGHT, box)), SPEC))


def test_a_small_box_of_a_large_jpeg_keeps_its_pixels() -> None:
    large = np.asarray(Image.fromarray(UPRIGHT).resize((2400, 1800), Image.Resampling.BICUBIC))
    data = encode(Image.fromarray(large), "JPEG", quality=95, subsampling=0)
    box = (0.4, 0.4, 0.5, 0.5)
    exact = preprocess(cut(decode(data), box), SPEC).astype(int)
    assert np.abs(preprocess(data, SPEC, box=box) - exact).mean() < 1.5


def test_the_whole_photo_is_a_box_too() -> None:
    assert np.array_equal(preprocess(UPRIGHT, SPEC, box=(0, 0, 1, 1)), preprocess(UPRIGHT, SPEC))
    assert np.array_equal(preprocess(UPRIGHT, SPEC, box=(-0.5, -1e-9, 2, 1.0000001)), preprocess(UPRIGHT, SPEC))


@given(st.tuples(*[st.floats(-1, 2)] * 4), st.integers(1, 50), st.integers(1, 50))
def test_a_box_holds_a_pixel_and_none_outside(box: Box, width: int, height: int) -> None:
    try:
        require_box(box)
    except UsageError:
        assert max(box[0], 0) >= min(box[2], 1) or max(box[1], 0) >= min(box[3], 1)
    else:
        left, top, right, bottom = pixel_box(box, width, height)
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height


@pytest.mark.parametrize("box", [(0.5, 0, 0.5, 1), (0, 1.2, 1, 1.5), (0.9, 0, 0.1, 1), (math.nan, 0, 1, 1)])
def test_boxes_that_hold_nothing_are_refused(box: Box) -> None:
    with pytest.raises(UsageError, match="holds nothing of the photo"):
        preprocess(UPRIGHT, SPEC, box=box)
