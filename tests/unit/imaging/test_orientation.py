"""The eight EXIF orientations give one picture, and a broken EXIF block never costs the photo."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from animal_classification.imaging import PreprocessSpec, decode, preprocess
from tests.unit.imaging.drawing import HAS_HEIF, encode, exif, heic, scene, textured

UNDO = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
UPRIGHT = scene(90, 61)
SPEC = PreprocessSpec(size=40)


def stored(pixels: np.ndarray, orientation: int) -> Image.Image:
    """The picture as a camera held that way would store it."""
    image = Image.fromarray(pixels)
    undo = UNDO[orientation]
    return image if undo is None else image.transpose(undo)


@pytest.mark.parametrize("orientation", UNDO)
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_lossless_formats_are_turned_exactly(kind: str, orientation: int) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    if kind == "TIFF":
        data = encode(stored(UPRIGHT, orientation), kind, tiffinfo={274: orientation})
    else:
        data = encode(stored(UPRIGHT, orientation), kind, exif=exif(orientation), **options)
    assert np.array_equal(decode(data), UPRIGHT)
    difference = preprocess(data, SPEC).astype(int) - preprocess(UPRIGHT, SPEC)
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("orientation", UNDO)
def test_jpeg_and_avif_are_turned(orientation: int) -> None:
    for kind, options in (("JPEG", {"quality": 95, "subsampling": 0}), ("AVIF", {"quality": 95, "speed": 10})):
        data = encode(stored(UPRIGHT, orientation), kind, exif=exif(orientation), **options)
        assert np.abs(decode(data).astype(int) - UPRIGHT).mean() < 2
        assert np.abs(preprocess(data, SPEC).astype(int) - preprocess(UPRIGHT, SPEC)).mean() < 2


@pytest.mark.skipif(not HAS_HEIF, reason="pillow-heif is an extra")
@pytest.mark.parametrize("orientation", UNDO)
def test_heic_is_turned_once(orientation: int) -> None:
    data = heic(stored(UPRIGHT, orientation), orientation=orientation, quality=95)
    assert np.abs(decode(data).astype(int) - UPRIGHT).mean() < 2


@pytest.mark.parametrize("orientation", UNDO)
def test_reduced_scale_jpegs_are_turned(orientation: int) -> None:
    # Odd sides: the reduced picture ends in a pixel that is only partly the photo's.
    upright = textured(1003, 851)
    data = encode(stored(upright, orientation), "JPEG", quality=95, subsampling=0, exif=exif(orientation))
    assert np.abs(preprocess(data, SPEC).astype(int) - preprocess(upright, SPEC)).mean() < 1
    small = decode(data, min_side=100)
    assert small.shape == (107, 126, 3)


def test_compressed_tiff_is_turned_once() -> None:
    data = encode(stored(UPRIGHT, 6), "TIFF", compression="tiff_lzw", tiffinfo={274: 6})
    assert np.array_equal(decode(data), UPRIGHT)


def test_pil_images_are_turned_unless_they_have_been() -> None:
    from io import BytesIO

    from PIL import ImageOps

    data = encode(stored(UPRIGHT, 6), "PNG", exif=exif(6))
    with Image.open(BytesIO(data)) as image:
        assert np.array_equal(decode(image), UPRIGHT)
        assert np.array_equal(decode(ImageOps.exif_transpose(image)), UPRIGHT)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [1, 3, 4])
def test_any_byte_order_and_number_type(order: str, kind: int) -> None:
    data = encode(stored(UPRIGHT, 8), "PNG", exif=exif(8, order=order, kind=kind))
    assert np.array_equal(decode(data), UPRIGHT)


BROKEN = {
    "empty": b"Exif\0\0",
    "nonsense": b"Exif\0\0" + b"\x99" * 40,
    "cut inside the entry": exif(6)[:-8],
    "points outside": b"Exif\0\0II*\0" + struct.pack("<I", 0xFFFFFFF0),
    "points at itself": b"Exif\0\0II*\0" + struct.pack("<I", 0) + b"\xff" * 30,
    "65535 entries": b"Exif\0\0II*\0" + struct.pack("<IH", 8, 65535) + b"\0" * 24,
    "orientation 0": exif(0),
    "orientation 9": exif(9),
    "orientation 60000": exif(60000),
    "not a number": exif(6).replace(struct.pack("<HH", 0x0112, 3), struct.pack("<HH", 0x0112, 7)),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_broken_exif_block_does_not_cost_the_photo(kind: str, name: str) -> None:
    plain = encode(UPRIGHT, kind)
    assert np.array_equal(decode(encode(UPRIGHT, kind, exif=BROKEN[name])), decode(plain))


@pytest.mark.parametrize("junk", [b"\x99" * 30, b"II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff" + b"\xff" * 16])
def test_a_broken_exif_block_in_an_avif_does_not_cost_the_photo(junk: bytes) -> None:
    block = Image.Exif()
    block[271] = "the maker of the camera"
    block[274] = 6
    data = encode(stored(UPRIGHT, 6), "AVIF", speed=10, exif=block.tobytes())
    at = data.rindex(b"\0*", 0, data.index(b"the maker")) - 2
    assert data[at : at + 2] == b"MM"
    assert np.array_equal(decode(data[:at] + junk + data[at + len(junk) :]), decode(data))


def test_a_broken_exif_block_in_a_tiff_does_not_cost_the_photo() -> None:
    # 34665 and 34853 say where the EXIF and GPS directories are.
    data = encode(UPRIGHT, "TIFF", tiffinfo={34665: 0xFFFFFF, 34853: 1, 274: 77})
    assert np.array_equal(decode(data), UPRIGHT)


def test_an_orientation_before_damage_still_counts() -> None:
    block = exif(3)[:-4]  # the link to the next directory is missing
    assert np.array_equal(decode(encode(stored(UPRIGHT, 3), "PNG", exif=block)), UPRIGHT)
