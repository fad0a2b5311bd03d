"""The box that is cropped is torchvision's ``Resize`` and ``CenterCrop``, written down here a second time."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from animal_classification.imaging import PreprocessSpec, decode, preprocess
from tests.unit.imaging.drawing import encode, scene, textured

FILTERS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "lanczos": Image.Resampling.LANCZOS,
    "nearest": Image.Resampling.NEAREST,
}
# Pillow resizes along one axis, rounds to 8 bits, then along the other, and which comes first depends on how much is
# cropped: that rounding is all that may differ, in grey levels.
ROUNDING_MEAN = 0.3
ROUNDING_MAX = 2


def resize_then_crop(pixels: NDArray[np.uint8], spec: PreprocessSpec) -> NDArray[np.uint8]:
    """Do what torchvision does to a PIL image: all of it resized, then the middle kept."""
    height, width = pixels.shape[:2]
    short, long = sorted((width, height))
    resized = spec.resize_to, int(spec.resize_to * long / short)
    new_width, new_height = resized if width <= height else resized[::-1]
    image = Image.fromarray(pixels).resize((new_width, new_height), FILTERS[spec.interpolation])
    left = int(round((new_width - spec.size) / 2.0))  # noqa: RUF046 - as torchvision writes it
    top = int(round((new_height - spec.size) / 2.0))  # noqa: RUF046
    return np.asarray(image.crop((left, top, left + spec.size, top + spec.size)))


def differences(pixels: NDArray[np.uint8], spec: PreprocessSpec) -> NDArray[np.int64]:
    found: NDArray[np.int64] = np.abs(preprocess(pixels, spec).astype(np.int64) - resize_then_crop(pixels, spec))
    return found


@settings(max_examples=120, deadline=None)
@given(
    width=st.integers(1, 600),
    height=st.integers(1, 600),
    size=st.sampled_from([1, 17, 32, 64, 96]),
    crop_pct=st.sampled_from([0.5, 0.875, 0.95, 1.0]),
    interpolation=st.sampled_from(["bicubic", "bilinear", "lanczos"]),
)
def test_same_pixels_as_torchvision(width: int, height: int, size: int, crop_pct: float, interpolation: str) -> None:
    if max(width, height) > 60 * min(width, height):  # the reference would need gigabytes
        return
    spec = PreprocessSpec(size=size, crop_pct=crop_pct, interpolation=interpolation)
    found = differences(scene(width, height), spec)
    assert found.mean() < ROUNDING_MEAN or size < 32
    assert found.max() <= ROUNDING_MAX


@pytest.mark.parametrize(("width", "height"), [(500, 375), (375, 500), (333, 500), (1024, 1024), (224, 3000), (31, 40)])
def test_default_spec_on_a_hard_texture(width: int, height: int) -> None:
    found = differences(textured(width, height), PreprocessSpec())
    assert found.mean() < ROUNDING_MEAN
    assert found.max() <= ROUNDING_MAX


def test_nearest() -> None:
    # A pixel whose centre falls between two may go either way: floating point decides.
    found = differences(textured(500, 375), PreprocessSpec(interpolation="nearest"))
    assert (found > 0).mean() < 0.01


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (2, 3), (1, 100_000), (100_000, 2)])
def test_small_and_elongated_photos_need_no_memory(size: tuple[int, int]) -> None:
    pixels = scene(*size)
    data = encode(pixels, "PNG")
    tracemalloc.start()
    result = preprocess(data, PreprocessSpec())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.shape == (224, 224, 3)
    assert peak < 10_000_000
    assert np.array_equal(result, preprocess(pixels, PreprocessSpec()))


def test_a_single_pixel_fills_the_square() -> None:
    assert np.unique(preprocess(np.full((1, 1, 3), 77, np.uint8), PreprocessSpec())).tolist() == [77]


def test_the_centre_is_kept() -> None:
    pixels = np.zeros((100, 300, 3), np.uint8)
    pixels[:, 100:200] = 255
    assert preprocess(pixels, PreprocessSpec(size=50, crop_pct=1.0))[:, 1:-1].min() > 250
    assert preprocess(pixels[:, :200], PreprocessSpec(size=50, crop_pct=1.0))[:, 0].max() < 5


def test_preprocess_of_decoded_pixels_is_the_same() -> None:
    data = encode(scene(300, 200), "PNG")
    assert np.array_equal(preprocess(decode(data), PreprocessSpec()), preprocess(data, PreprocessSpec()))
