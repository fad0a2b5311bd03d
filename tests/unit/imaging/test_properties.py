"""Whatever the size and the mode, what comes out has the shape and the type that were promised."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from animal_classification.imaging import PreprocessSpec, decode, preprocess
from tests.unit.imaging.drawing import encode, scene

WRITABLE = {
    "PNG": ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"],
    "JPEG": ["L", "RGB", "CMYK"],
    "TIFF": ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F"],
    "WEBP": ["RGB", "RGBA"],
    "GIF": ["1", "L", "P"],
    "BMP": ["1", "L", "P", "RGB"],
    "PPM": ["1", "L", "RGB"],
}
CASES = [(kind, mode) for kind, modes in WRITABLE.items() for mode in modes]
SIDES = st.integers(1, 600)


def in_mode(width: int, height: int, mode: str) -> Image.Image:
    image = Image.fromarray(scene(width, height))
    return image.convert("I").convert("I;16") if mode == "I;16" else image.convert(mode)


@settings(max_examples=150, deadline=None)
@given(case=st.sampled_from(CASES), width=SIDES, height=SIDES, size=st.integers(1, 64), crop=st.floats(0.2, 1))
def test_shape_and_type(case: tuple[str, str], width: int, height: int, size: int, crop: float) -> None:
    kind, mode = case
    data = encode(in_mode(width, height, mode), kind)
    pixels = decode(data)
    assert pixels.shape == (height, width, 3)
    assert pixels.dtype == np.uint8
    square = preprocess(data, PreprocessSpec(size=size, crop_pct=crop))
    assert square.shape == (size, size, 3)
    assert square.dtype == np.uint8


@settings(max_examples=60, deadline=None)
@given(width=SIDES, height=SIDES, min_side=st.integers(1, 700))
def test_reduced_scale_keeps_the_shorter_side(width: int, height: int, min_side: int) -> None:
    small = decode(encode(scene(width, height), "JPEG"), min_side=min_side)
    assert min(small.shape[:2]) >= min(min_side, width, height)
    assert abs(small.shape[1] / width - small.shape[0] / height) <= 1 / min(width, height)


@settings(max_examples=40, deadline=None)
@given(level=st.integers(0, 255), width=SIDES, height=SIDES)
def test_an_even_picture_stays_even(level: int, width: int, height: int) -> None:
    square = preprocess(np.full((height, width), level, np.uint8), PreprocessSpec(size=40))
    assert np.unique(square).tolist() == [level]
