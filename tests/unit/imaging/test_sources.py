"""Photos that are already in memory: arrays, PIL images, bytes."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from animal_classification.errors import CorruptImageError, UnsupportedImageError
from animal_classification.imaging import PreprocessSpec, decode, preprocess
from tests.unit.imaging.drawing import encode, scene

SCENE = scene()
GREY = np.repeat(SCENE[:, :, :1], 3, axis=2)


def test_uint8_arrays() -> None:
    assert np.array_equal(decode(SCENE), SCENE)
    assert np.array_equal(decode(SCENE[:, :, 0]), GREY)
    assert np.array_equal(decode(SCENE[:, :, :1]), GREY)
    veiled = np.dstack([SCENE, np.full(SCENE.shape[:2], 255, np.uint8)])
    assert np.array_equal(decode(veiled), SCENE)
    veiled[:, :, 3] = 0
    assert decode(veiled).min() == 255


@pytest.mark.parametrize("kind", ["<u2", ">u2"])
def test_uint16_arrays_are_scaled(kind: str) -> None:
    assert np.array_equal(decode(SCENE.astype(kind) * 257), SCENE)
    assert np.array_equal(decode((SCENE.astype(kind) * 257)[:, :, 0]), GREY)


@pytest.mark.parametrize("kind", ["f2", "f4", "f8", ">f4"])
def test_float_arrays_run_from_0_to_1(kind: str) -> None:
    assert np.array_equal(decode((SCENE / 255).astype(kind)), SCENE)


def test_views_are_read_and_results_are_fresh() -> None:
    assert np.array_equal(decode(SCENE[::-1, ::2]), SCENE[::-1, ::2])
    assert np.array_equal(decode(np.asfortranarray(SCENE)), SCENE)
    own = SCENE.copy()
    decode(own)[:] = 0
    assert np.array_equal(own, SCENE)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((0, 5), np.uint8), "shape [0, 5] and type uint8"),
        (np.zeros((5, 0, 3), np.uint8), "shape [5, 0, 3]"),
        (np.zeros((5,), np.uint8), "shape [5]"),
        (np.zeros((), np.uint8), "shape []"),
        (np.zeros((5, 5, 2), np.uint8), "shape [5, 5, 2]"),
        (np.zeros((3, 50, 50), np.uint8), "shape [3, 50, 50]"),
        (np.zeros((1, 5, 5, 3), np.uint8), "shape [1, 5, 5, 3]"),
        (np.zeros((5, 5), np.int64), "type int64"),
        (np.zeros((5, 5), np.bool_), "type bool"),
        (np.zeros((5, 5), np.complex64), "type complex64"),
        (np.full((5, 5), "x"), "type <U1"),
        (np.full((5, 5), None), "type object"),
        (np.full((5, 5), 1.5), "values outside of 0 to 1"),
        (np.full((5, 5), -0.1), "values outside of 0 to 1"),
        (np.full((5, 5), np.nan), "values outside of 0 to 1"),
    ],
)
def test_other_arrays_are_refused_by_name(array: np.ndarray[Any, Any], words: str) -> None:
    with pytest.raises(UnsupportedImageError) as caught:
        decode(array)
    assert words in caught.value.reason
    assert caught.value.where == "array"


MODES = ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "I", "F", "I;16"]


@pytest.mark.parametrize("mode", MODES)
def test_pil_images_of_every_mode_are_left_alone(mode: str) -> None:
    through = {"La": "LA", "RGBa": "RGBA", "I;16": "I"}.get(mode)
    image = Image.fromarray(SCENE)
    image = image.convert(through).convert(mode) if through else image.convert(mode)
    before = image.tobytes(), image.mode, image.size, dict(image.info)
    assert decode(image).shape == SCENE.shape
    assert preprocess(image, PreprocessSpec(size=16)).shape == (16, 16, 3)
    assert (image.tobytes(), image.mode, image.size, dict(image.info)) == before


def test_lazy_pil_images_are_loaded() -> None:
    with Image.open(io.BytesIO(encode(SCENE, "PNG"))) as image:
        assert np.array_equal(decode(image), SCENE)


def test_broken_pil_images() -> None:
    with pytest.raises(UnsupportedImageError, match="no pixels") as caught:
        decode(Image.new("RGB", (0, 5)))
    assert caught.value.where == "image"
    with Image.open(io.BytesIO(encode(scene(200, 200), "JPEG")[:2000])) as image, pytest.raises(CorruptImageError):
        decode(image)
    closed = Image.new("RGB", (3, 3))
    closed.close()
    with pytest.raises(CorruptImageError):
        decode(closed)


def test_bytes_alikes() -> None:
    data = encode(SCENE, "PNG")
    for source in (bytearray(data), memoryview(data)):
        assert np.array_equal(decode(source), SCENE)  # type: ignore[arg-type]


@pytest.mark.parametrize("source", [None, 3, [1, 2], {"a": 1}, object()])
def test_anything_else_is_refused(source: Any) -> None:
    with pytest.raises(UnsupportedImageError, match="pass a path, bytes, a PIL image or a NumPy array"):
        decode(source)
