"""What is not a photo, and what is a damaged one: the reason says which, in one line."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animal_classification.errors import CorruptImageError, ImageError, UnsupportedImageError
from animal_classification.imaging import PreprocessSpec, decode, preprocess
from tests.unit.imaging.drawing import chunk, corpus, encode, exif, png, scene

NOT_PHOTOS = {
    b"Dear diary,\ntoday a fox came by.": "text",
    "Füchse und Bären".encode(): "text",
    "Füchse".encode("utf-16"): "text",
    b"BM is how this sentence begins, and it is no bitmap": "text",
    b"GIFs are nice": "text",
    b'{"error": "not found"}': "text",
    b"<!DOCTYPE html><html><body>404</body></html>": "HTML page.*failed download",
    b"\xef\xbb\xbf\n <HTML lang=en>": "HTML page",
    b'<svg xmlns="http://www.w3.org/2000/svg"/>': "SVG",
    b'<?xml version="1.0"?>\n<!-- drawn --><svg width="3"/>': "SVG",
    b'<?xml version="1.0"?><annotation/>': "XML",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a": "git lfs pull",
    b"%PDF-1.7 ...": "PDF",
    b"%!PS-Adobe-3.0 EPSF-3.0\n": "PostScript",
    b"\xc5\xd0\xd3\xc6" + bytes(30): "PostScript",
    b"8BPS\0\1" + bytes(30): "Photoshop",
    b"PK\3\4" + bytes(30): "ZIP",
    b"\x1f\x8b\x08" + bytes(30): "gzip",
    b"\0\0\0\x20ftypisom" + bytes(30): "video",
    b"\0\0\0\x14ftypqt  " + bytes(30): "video",
    b"RIFF\x00\x01\0\0AVI LIST": "video",
    b"RIFF\x00\x01\0\0WAVEfmt ": "sound",
    b"\x1a\x45\xdf\xa3" + bytes(30): "video",
    b"\0\0\1\xba" + bytes(30): "video",
    b"\0\0\0\x18ftypcrx " + bytes(30): "raw photo",
    b"II*\0\x10\0\0\0CR\2\0" + bytes(30): "raw photo",
    b"FUJIFILMCCD-RAW 0201": "raw photo",
    b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(30): "JPEG 2000",
    b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(30): "JPEG XL",
    b"\0\0\1\0\1\0\x10\x10": "icon",
    b"\x93NUMPY\1\0": "NumPy",
    b"\x7fELF\2\1\1": "program",
    b"SIMPLE  =                    T": "FITS",
    b"P3\n1 1\n255\n1 2 3\n": "plain PNM",
    bytes(range(128, 256)) * 4: "not a photo in a format that is known",
}


@pytest.mark.parametrize("data", NOT_PHOTOS, ids=lambda data: repr(data[:24]))
def test_things_that_are_not_photos(data: bytes) -> None:
    with pytest.raises(UnsupportedImageError, match=NOT_PHOTOS[data]) as caught:
        decode(data)
    assert caught.value.where == "bytes"


DAMAGED = {
    b"": r"is empty \(0 bytes\)",
    bytes(5000): "nothing but zeros",
    b"\xff": "cut short",
    b"\xff\xd8": "cut short",
    b"\x89PN": "cut short",
    b"GIF8": "cut short",
    b"RIFF\x10\0": "cut short",
    b"\xff\xd8\xff": "cut short",
    b"\xff\xd8\xff\xe0\x00\x10JFIF": "cut short",
    b"\xff\xd8\xff" + bytes(100_000): "cut short",
    b"\x89PNG\r\n\x1a\n": "cut short",
    b"GIF89a": "cut short",
    b"GIF89a\x01\0\x01\0\0\0\0;": "no picture in it",
    b"RIFF\x10\0\0\0WEBPVP8 ": "cut short",
    b"II*\0": "cut short",
    b"II*\0\xff\xff\xff\xff": "cut short",
    b"BM" + bytes(12) + b"\x28\0\0\0": "cut short",
    b"P6\n10 10\n255\n123": "cut short",
    b"P6\n10 10\n999999\n123": "damaged",
    b"P5\n0 10\n255\n": "damaged",
    b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf": "damaged|cut short",
}


@pytest.mark.parametrize("data", DAMAGED, ids=lambda data: repr(data[:24]))
def test_damaged_files(data: bytes) -> None:
    with pytest.raises(CorruptImageError, match=DAMAGED[data]):
        decode(data)


def one_line(error: ImageError) -> bool:
    return bool(error.reason) and "\n" not in str(error) and "BytesIO" not in error.reason and len(error.reason) < 200


SPEC = PreprocessSpec(size=24)


@pytest.mark.parametrize("name", corpus())
def test_a_file_cut_anywhere_is_an_error_or_shows_the_whole_photo(name: str, drawn: dict[str, bytes]) -> None:
    data = drawn[name]
    whole = decode(data)
    cuts = sorted({*range(0, min(len(data), 60), 3), *range(0, len(data), max(1, len(data) // 60)), len(data) - 1})
    for cut in cuts:
        try:
            pixels = decode(data[:cut])
        except (CorruptImageError, UnsupportedImageError) as error:
            assert one_line(error)
            assert type(error) is CorruptImageError or cut < 60, error
        else:  # what is missing was a trailer or a second picture
            assert np.array_equal(pixels, whole), cut


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_blocks": 4}])
@pytest.mark.parametrize("fraction", [0.2, 0.5, 0.8, 0.95])
def test_a_jpeg_that_lost_its_end_is_refused_and_not_filled_with_grey(
    options: dict[str, object], fraction: float
) -> None:
    data = encode(scene(900, 700), "JPEG", quality=95, **options)
    for read in (decode, lambda part: preprocess(part, SPEC)):
        with pytest.raises(CorruptImageError, match="cut short"):
            read(data[: int(len(data) * fraction)])


@settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(sorted(corpus())), at=st.integers(0, 2**16), value=st.integers(0, 255))
def test_a_changed_byte_gives_an_image_error_or_a_picture(name: str, at: int, value: int) -> None:
    data = bytearray(CORPUS[name])
    data[at % len(data)] = value
    try:
        pixels = preprocess(bytes(data), SPEC)
    except ImageError as error:
        assert one_line(error)
    else:
        assert pixels.shape == (24, 24, 3)


CORPUS = corpus(24, 18)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_random_bytes_are_never_a_surprise(data: bytes) -> None:
    with pytest.raises(ImageError) as caught:
        decode(data)
    assert one_line(caught.value)


def test_twelve_bit_jpeg_is_unsupported_and_not_corrupt() -> None:
    data = bytearray(encode(scene(), "JPEG"))
    data[data.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(UnsupportedImageError, match="12-bit"):
        decode(bytes(data))


def test_unknown_tiff_layouts_are_unsupported() -> None:
    data = encode(scene(), "TIFF", tiffinfo={262: 999})
    with pytest.raises(UnsupportedImageError, match="variant"):
        decode(data)


def test_raw_photos_that_look_like_tiff_are_recognised() -> None:
    thumbnail = encode(scene(), "TIFF", tiffinfo={254: 1, 330: 8})
    with pytest.raises(UnsupportedImageError, match="raw photo"):
        decode(thumbnail)
    mosaic = encode(scene()[:, :, 0], "TIFF", tiffinfo={262: 32803})
    with pytest.raises(UnsupportedImageError, match="raw photo"):
        decode(mosaic)
    with_pages_below = encode(scene(), "TIFF", tiffinfo={330: 8})
    assert decode(with_pages_below).shape == (48, 64, 3)


def test_exif_longer_than_the_file_says_is_no_reason_to_fail() -> None:
    data = encode(scene(), "JPEG", exif=exif(1) + b"\xff" * 1000)
    assert decode(data).shape == (48, 64, 3)


def test_damaged_png_checksum() -> None:
    data = bytearray(encode(scene(), "PNG"))
    data[29] ^= 1  # in the checksum of the header
    with pytest.raises(CorruptImageError, match="checksum"):
        decode(bytes(data))


def test_text_that_unpacks_to_gigabytes() -> None:
    text = chunk(b"zTXt", b"bomb\0\0" + zlib.compress(bytes(70_000_000), 9))
    profile = chunk(b"iCCP", b"bomb\0\0" + zlib.compress(bytes(70_000_000), 9))
    for extra in (text, profile):
        with pytest.raises(CorruptImageError, match="too large"):
            decode(png(1, 1, b"\0\1\2\3", extra=extra))


def test_metadata_warnings_are_errors_of_ours_where_warnings_are_errors() -> None:
    # A tag whose value lies beyond the end of the file: Pillow warns and goes on, unless warnings are errors, as here.
    data = bytearray(encode(scene(), "TIFF", tiffinfo={270: "a description"}))
    at = data.index(struct.pack("<HH", 270, 2))
    data[at + 4 : at + 12] = struct.pack("<II", 50_000, 8)
    with pytest.raises(CorruptImageError):
        decode(bytes(data))
