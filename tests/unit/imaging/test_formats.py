"""Every format and pixel layout comes out as the RGB that was drawn."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from animal_classification.errors import UnsupportedImageError
from animal_classification.imaging import PreprocessSpec, decode, preprocess
from tests.unit.imaging.drawing import HAS_HEIF, corpus, encode, frames, heic, png, scene

SCENE = scene()
PICTURE = Image.fromarray(SCENE)
GREY = np.asarray(PICTURE.convert("L"))


def grey_rgb(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(grey[:, :, None], 3, axis=2)


def mean_difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


LOSSLESS = {
    "png": encode(PICTURE, "PNG"),
    "apng": frames("PNG"),
    "webp lossless": encode(PICTURE, "WEBP", lossless=True),
    "webp animated": frames("WEBP", lossless=True),
    "bmp": encode(PICTURE, "BMP"),
    "dib": encode(PICTURE, "DIB"),
    "tiff": encode(PICTURE, "TIFF"),
    "tiff lzw": encode(PICTURE, "TIFF", compression="tiff_lzw"),
    "tiff deflate": encode(PICTURE, "TIFF", compression="tiff_adobe_deflate"),
    "tiff big": encode(PICTURE, "TIFF", big_tiff=True),
    "tiff pages": frames("TIFF"),
    "ppm": encode(PICTURE, "PPM"),
}


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_formats_are_exact(name: str) -> None:
    assert np.array_equal(decode(LOSSLESS[name]), SCENE)


LOSSY = {
    "jpeg": encode(PICTURE, "JPEG", quality=95),
    "jpeg progressive": encode(PICTURE, "JPEG", quality=95, progressive=True),
    "jpeg cmyk, inverted as Adobe does": encode(PICTURE.convert("CMYK"), "JPEG", quality=95),
    "mpo of a phone": frames("MPO", quality=95),
    "webp": encode(PICTURE, "WEBP", quality=95),
    "avif": encode(PICTURE, "AVIF", quality=95, speed=10),
    "avif animated": frames("AVIF", quality=95, speed=10),
    "tiff jpeg": encode(PICTURE, "TIFF", compression="jpeg", quality=95),
    "tiff ycbcr": encode(PICTURE.convert("YCbCr"), "TIFF"),
    "tiff ycbcr lzw": encode(PICTURE.convert("YCbCr"), "TIFF", compression="tiff_lzw"),
    "tiff cmyk": encode(PICTURE.convert("CMYK"), "TIFF"),
    "gif animated": frames("GIF"),
}


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_formats_are_close(name: str) -> None:
    assert mean_difference(decode(LOSSY[name]), SCENE) < (7 if name.startswith("gif") else 2)


@pytest.mark.skipif(not HAS_HEIF, reason="pillow-heif is an extra")
def test_heic() -> None:
    before = dict(Image.OPEN)
    assert mean_difference(decode(heic(PICTURE, quality=95)), SCENE) < 2
    assert before == Image.OPEN, "reading HEIC must not register anything with Pillow"


@pytest.mark.skipif(not HAS_HEIF, reason="pillow-heif is an extra")
def test_heic_without_the_extra_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    data = heic(PICTURE)
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    with pytest.raises(UnsupportedImageError, match=r'is HEIC, which needs: pip install ".*\[heic\]"'):
        decode(data)


def test_ycck_jpeg() -> None:
    # Encode the planes of YCCK as if they were CMYK, then say in the Adobe segment that they are YCCK.
    cyan, magenta, yellow, black = PICTURE.convert("CMYK").split()
    luma, cb, cr = Image.merge("RGB", (cyan, magenta, yellow)).convert("YCbCr").split()
    planes = Image.merge("CMYK", (*(Image.eval(plane, lambda v: 255 - v) for plane in (luma, cb, cr)), black))
    data = encode(planes, "JPEG", quality=95, subsampling=0)
    at = data.index(b"Adobe") + 11
    assert data[at] == 0
    assert mean_difference(decode(data[:at] + b"\2" + data[at + 1 :]), SCENE) < 2


def test_grey_becomes_three_equal_channels() -> None:
    expected = grey_rgb(GREY)
    for kind in ("PNG", "TIFF", "BMP", "PPM"):
        assert np.array_equal(decode(encode(GREY, kind)), expected)
    pixels = decode(encode(GREY, "JPEG"))
    assert np.array_equal(pixels[:, :, 0], pixels[:, :, 2])


def test_bilevel_is_black_and_white() -> None:
    bits = PICTURE.convert("1")
    expected = np.where(np.asarray(bits)[:, :, None], 255, 0).repeat(3, axis=2)
    for kind in ("PNG", "TIFF", "BMP", "PPM"):
        assert np.array_equal(decode(encode(bits, kind)), expected)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_16_bit_grey_is_scaled_and_not_clipped(kind: str) -> None:
    deep = GREY.astype(np.uint16) * 257
    assert np.array_equal(decode(encode(deep, kind)), grey_rgb(GREY))


def test_16_bit_grey_is_rounded() -> None:
    levels = np.array([[0, 128, 129, 257, 65406, 65407, 65535]], np.uint16)
    assert decode(encode(levels, "TIFF"))[0, :, 0].tolist() == [0, 0, 1, 1, 254, 255, 255]


def test_16_bit_big_endian() -> None:
    image = Image.frombytes("I;16B", (64, 48), (GREY.astype(">u2") * 257).tobytes())
    assert np.array_equal(decode(image), grey_rgb(GREY))


def test_16_bit_grey_that_counts_down_from_white() -> None:
    data = encode(GREY.astype(np.uint16) * 257, "TIFF", tiffinfo={262: 0})
    assert np.array_equal(decode(data), grey_rgb(255 - GREY))


def test_12_bit_tiff_has_its_own_white() -> None:
    assert decode(twelve_bit_tiff([0, 2048, 4095, 1024]))[0, :, 0].tolist() == [0, 128, 255, 64]


def twelve_bit_tiff(levels: list[int]) -> bytes:
    packed = int("".join(f"{level:012b}" for level in levels), 2).to_bytes(len(levels) * 12 // 8, "big")
    tags = [(256, 4, len(levels)), (257, 4, 1), (258, 3, 12), (259, 3, 1), (262, 3, 1), (273, 4, 200)]
    tags += [(277, 3, 1), (278, 4, 1), (279, 4, len(packed))]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    return (b"II*\0" + struct.pack("<I", 8) + directory).ljust(200, b"\0") + packed


def test_16_bit_colour() -> None:
    rows = b"".join(b"\0" + (row.astype(">u2") * 257).tobytes() for row in SCENE)
    assert np.array_equal(decode(png(64, 48, rows, depth=16)), SCENE)


def test_32_bit_grey() -> None:
    within = GREY.astype(np.int32) * 257
    assert np.array_equal(decode(encode(within, "TIFF")), grey_rgb(GREY))
    beyond = np.array([[-100_000, 0, 100_000]], np.int32)
    assert decode(encode(beyond, "TIFF"))[0, :, 0].tolist() == [0, 128, 255]
    assert decode(encode(np.full((2, 2), 70_000, np.int32), "TIFF")).max() == 0


def test_float_tiff() -> None:
    assert np.array_equal(decode(encode(GREY.astype(np.float32) / 255, "TIFF")), grey_rgb(GREY))
    wide = np.array([[-5.0, 0.0, 5.0, np.nan, np.inf, -np.inf]], np.float32)
    assert decode(encode(wide, "TIFF"))[0, :, 0].tolist() == [0, 128, 255, 0, 255, 0]
    assert decode(encode(np.full((2, 2), np.nan, np.float32), "TIFF")).max() == 0
    huge = np.array([[-3e38, 0, 3e38]], np.float32)
    assert decode(encode(huge, "TIFF"))[0, :, 0].tolist() == [0, 128, 255]


def test_lab_and_hsv() -> None:
    from PIL import ImageCms

    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    lab = ImageCms.applyTransform(PICTURE, to_lab)
    assert lab is not None
    assert mean_difference(decode(encode(lab, "TIFF")), SCENE) < 2
    assert mean_difference(decode(PICTURE.convert("HSV")), SCENE) < 4


HALF_RED = (255, 0, 0, 128)
ON_WHITE = [255, 127, 127]


def test_alpha_is_composited_on_white() -> None:
    colour = Image.new("RGBA", (2, 1), HALF_RED)
    colour.putpixel((1, 0), (9, 9, 9, 0))
    for kind, options in (("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True, "exact": True})):
        assert decode(encode(colour, kind, **options)).tolist() == [[ON_WHITE, [255, 255, 255]]]
    assert decode(colour.convert("RGBa")).tolist() == [[ON_WHITE, [255, 255, 255]]]
    grey = Image.new("LA", (1, 1), (0, 128))
    assert decode(encode(grey, "PNG")).tolist() == [[[127, 127, 127]]]
    assert decode(grey.convert("La")).tolist() == [[[127, 127, 127]]]


def test_opaque_alpha_changes_nothing() -> None:
    assert np.array_equal(decode(encode(PICTURE.convert("RGBA"), "PNG")), SCENE)


def test_palette_transparency() -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2])
    as_bytes = encode(image, "PNG", transparency=bytes([128, 255, 0]))
    assert decode(as_bytes).tolist() == [[ON_WHITE, [0, 255, 0], [255, 255, 255]]]
    for kind in ("PNG", "GIF"):
        as_index = encode(image, kind, transparency=1)
        assert decode(as_index).tolist() == [[[255, 0, 0], [255, 255, 255], [0, 0, 255]]]
    with_alpha = image.convert("PA")
    with_alpha.putalpha(128)
    assert decode(with_alpha)[0, 0].tolist() == ON_WHITE


def test_one_transparent_colour() -> None:
    assert decode(encode(Image.new("RGB", (1, 1), (1, 2, 3)), "PNG", transparency=(1, 2, 3))).tolist() == [[[255] * 3]]
    assert decode(encode(Image.new("L", (1, 1), 7), "PNG", transparency=7)).tolist() == [[[255] * 3]]
    assert decode(encode(Image.new("1", (1, 1), 0), "PNG", transparency=0)).tolist() == [[[255] * 3]]


def test_gif_palette() -> None:
    painted = PICTURE.quantize(32)
    assert np.array_equal(decode(encode(painted, "GIF")), np.asarray(painted.convert("RGB")))


@pytest.mark.parametrize("white", [1, 100, 255, 256, 1023, 4095, 65535])
def test_pnm_with_any_white(white: int) -> None:
    levels = np.array([[0, white // 2, white]], ">u2" if white > 255 else "u1")
    expected = [0, int(white // 2 * 255 / white + 0.5), 255]
    grey = b"P5 # a comment\n3 1\n# another\n%d\n" % white + levels.tobytes()
    assert decode(grey)[0, :, 0].tolist() == expected
    colour = b"P6\n1 1 %d " % white + levels.tobytes()
    assert decode(colour).tolist() == [[expected]]


def test_pbm_rows_are_padded_to_bytes() -> None:
    assert decode(b"P4\n9 2\n" + bytes([0b10101010, 0x80, 0xFF, 0x00]))[:, :, 0].tolist() == [
        [0, 255, 0, 255, 0, 255, 0, 255, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 255],
    ]


def test_content_decides_and_not_the_name(tmp_path: Path) -> None:
    path = tmp_path / "really a PNG.jpg"
    path.write_bytes(encode(PICTURE, "PNG"))
    assert np.array_equal(decode(path), SCENE)
    assert np.array_equal(decode(str(path)), SCENE)


def test_trailing_bytes_are_harmless() -> None:
    for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"):
        data = encode(PICTURE, kind)
        assert np.array_equal(decode(data + b"\0garbage\xff\xd8" * 20), decode(data)), kind


def test_stray_bytes_before_a_jpeg_segment_are_harmless() -> None:
    data = encode(PICTURE, "JPEG")
    at = data.index(b"\xff\xdb")
    assert np.array_equal(decode(data[:at] + b"\0\0\0" + data[at:]), decode(data))


def test_a_missing_end_marker_is_harmless_when_the_pixels_are_complete() -> None:
    data = encode(PICTURE, "PNG")
    assert np.array_equal(decode(data[: data.index(b"IEND") - 4]), SCENE)


@pytest.mark.parametrize("name", corpus())
def test_both_ways_in_return_contiguous_writable_uint8(name: str, drawn: dict[str, bytes]) -> None:
    for pixels in (decode(drawn[name]), preprocess(drawn[name], PreprocessSpec(size=20))):
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 3
        assert pixels.shape[2] == 3
        assert pixels.flags.c_contiguous
        assert pixels.flags.writeable


def test_a_png_that_grows_when_unpacked_is_still_read() -> None:
    assert decode(png(1, 1, b"\0\xff\x80\x00")).tolist() == [[[255, 128, 0]]]
    assert len(zlib.compress(bytes(3_000_000))) < 10_000
    assert decode(encode(Image.new("RGB", (1000, 1000)), "PNG")).shape == (1000, 1000, 3)


def test_pillow_is_left_as_it_was() -> None:
    from PIL import ImageFile

    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
    decode(io.BytesIO(LOSSY["jpeg"]).getvalue())
    assert before == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
