"""Small files that claim to be huge, or that cost Pillow minutes or gigabytes, are refused at once."""

from __future__ import annotations

import io
import struct
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from animal_classification.errors import (
    CorruptImageError,
    HeavyImageError,
    ImageError,
    ImageMemoryError,
    ImageTooLargeError,
    UnsupportedImageError,
)
from animal_classification.imaging import DecodeBound, DecodingMemory, Limits, PreprocessSpec, decode, preprocess
from tests.unit.imaging.drawing import HAS_HEIF, chunk, encode, heic, png, scene

SIDE = 20_000
AT_ONCE = 30.0  # seconds: thousands of times what it takes, and less than these bombs would cost without a bound


def patched(data: bytes, *changes: tuple[int, bytes]) -> bytes:
    result = bytearray(data)
    for at, value in changes:
        result[at : at + len(value)] = value
    return bytes(result)


def jpeg() -> bytes:
    data = encode(scene(), "JPEG")
    return patched(data, (data.index(b"\xff\xc0") + 5, struct.pack(">HH", SIDE, SIDE)))


def gif_canvas() -> bytes:
    return patched(encode(scene()[:, :, 0], "GIF"), (6, struct.pack("<HH", SIDE, SIDE)))


def first_frame(data: bytes) -> int:
    """Where the first frame of a GIF begins, which has no extension before it."""
    at = 13 + (3 << (data[10] & 7) + 1)
    assert data[at : at + 1] == b","
    return at


def gif_frame() -> bytes:
    data = encode(scene()[:, :, 0], "GIF")
    at = first_frame(data)
    return patched(data, (at + 5, struct.pack("<HH", SIDE, SIDE)))


def webp(kind: str) -> bytes:
    if kind == "VP8X":
        body = bytes(4) + (SIDE - 5000).to_bytes(3, "little") * 2
    elif kind == "VP8L":
        body = b"\x2f" + struct.pack("<I", 15_000 | 15_000 << 14)
    else:
        body = bytes(3) + b"\x9d\x01\x2a" + struct.pack("<HH", 15_000, 15_000)
    block = kind.ljust(4).encode() + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)
    return b"RIFF" + struct.pack("<I", len(block) + 4) + b"WEBP" + block + bytes(40)


def tiff() -> bytes:
    return patched(encode(Image.new("1", (8, 8)), "TIFF"), *tiff_sides(encode(Image.new("1", (8, 8)), "TIFF")))


def tiff_sides(data: bytes) -> list[tuple[int, bytes]]:
    places = [data.index(struct.pack("<HHI", tag, 4, 1)) for tag in (256, 257)]
    return [(at + 8, struct.pack("<I", SIDE)) for at in places]


def replaced_box(data: bytes) -> bytes:
    """Let the ISO media box that holds the size declare another."""
    at = data.index(b"ispe") + 8
    return patched(data, (at, struct.pack(">II", SIDE, SIDE)))


HUGE: dict[str, Callable[[], bytes]] = {
    "jpeg": jpeg,
    "png": lambda: png(SIDE, SIDE, b"\0"),
    "png, largest side": lambda: png(2**31 - 1, 2**31 - 1, b"\0"),
    "gif canvas": gif_canvas,
    "gif frame": gif_frame,
    "webp": lambda: webp("VP8"),
    "webp lossless": lambda: webp("VP8L"),
    "webp extended": lambda: webp("VP8X"),
    "bmp": lambda: patched(encode(scene(), "BMP"), (18, struct.pack("<ii", SIDE, SIDE))),
    "bmp upside down": lambda: patched(encode(scene(), "BMP"), (18, struct.pack("<ii", SIDE, -SIDE))),
    "tiff": tiff,
    "pbm": lambda: b"P4 20000 20000\n",
    "ppm": lambda: b"P6 999999999 999999999 255\n",
}


@pytest.mark.parametrize("name", HUGE)
def test_20000_by_20000_in_a_tiny_file(name: str) -> None:
    data = HUGE[name]()
    assert len(data) < 20_000
    tracemalloc.start()
    start = time.perf_counter()
    for read in (decode, lambda source: preprocess(source, PreprocessSpec())):
        with pytest.raises(ImageTooLargeError, match=r"declares \d+ x \d+ pixels, .* megapixels; the limit is 100.0"):
            read(data)
    assert time.perf_counter() - start < AT_ONCE
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("canvas", [(71, 851_969), (16_385, 1)])
def test_a_webp_canvas_that_no_frame_can_fill(canvas: tuple[int, int]) -> None:
    data = encode(scene(), "WEBP", xmp=b"x")  # which makes it an extended file
    assert data[12:16] == b"VP8X"
    sides = b"".join((side - 1).to_bytes(3, "little") for side in canvas)
    with pytest.raises(CorruptImageError, match=rf"declares {canvas[0]} x {canvas[1]} pixels; WebP ends at 16,384"):
        decode(patched(data, (24, sides)))


def test_20000_by_20000_avif_and_heic() -> None:
    files = [encode(scene(), "AVIF", speed=10)] + ([heic(Image.fromarray(scene()))] if HAS_HEIF else [])
    for data in files:
        try:
            pixels = decode(replaced_box(data))
        except ImageError:
            continue
        assert pixels.shape == (48, 64, 3)  # some versions of libheif go by the picture instead


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "GIF", "WEBP", "BMP", "PPM", "JPEG"])
def test_the_limit_is_ours_and_not_pillows(kind: str) -> None:
    data = encode(scene(64, 48), kind)
    assert decode(data, limits=Limits(max_pixels=64 * 48)).shape == (48, 64, 3)
    with pytest.raises(ImageTooLargeError):
        decode(data, limits=Limits(max_pixels=64 * 48 - 1))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_above_pillows_own_limit(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Pillow would warn from 1,000 pixels on (an error here) and refuse from 2,000 on.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert decode(encode(scene(64, 48), kind)).shape == (48, 64, 3)


def test_arrays_and_images_obey_the_pixel_limit() -> None:
    wide = np.broadcast_to(np.uint8(0), (20_000, 20_000))
    with pytest.raises(ImageTooLargeError):
        decode(wide)
    with pytest.raises(ImageTooLargeError):
        decode(Image.new("1", (100, 100)), limits=Limits(max_pixels=9999))


def tiny_jpeg_segments() -> bytes:
    return b"\xff\xd8\xff" + b"\xff\xe5\x00\x02" * 300_000 + encode(scene(), "JPEG")[2:]


def jpeg_junk() -> bytes:
    return b"\xff\xd8\xff\xd0" + bytes(3_000_000) + encode(scene(), "JPEG")[2:]


def tiny_png_chunks() -> bytes:
    return png(1, 1, b"\0\1\2\3", extra=chunk(b"prVt", b"") * 200_000)


def tiny_gif_blocks() -> bytes:
    data = encode(scene()[:, :, 0], "GIF")
    at = first_frame(data)
    return data[:at] + b"!\xfe" + b"\1x" * 300_000 + b"\0" + data[at:]


def many_tiff_strips() -> bytes:
    entries = [(256, 4, 1, 8), (257, 4, 1, 8), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 900_000, 200)]
    return b"II*\0\x08\0\0\0" + struct.pack("<H", 6) + b"".join(struct.pack("<HHII", *e) for e in entries) + bytes(4000)


@pytest.mark.parametrize(
    "draw",
    [tiny_jpeg_segments, jpeg_junk, tiny_png_chunks, tiny_gif_blocks, many_tiff_strips],
    ids=lambda d: d.__name__,
)
def test_more_parts_than_any_encoder_writes(draw: Callable[[], bytes]) -> None:
    data = draw()
    start = time.perf_counter()
    with pytest.raises(CorruptImageError, match="made to do harm"):
        decode(data)
    assert time.perf_counter() - start < AT_ONCE


def test_thousands_of_progressive_scans() -> None:
    data = encode(Image.new("L", (2000, 2000), 128), "JPEG", progressive=True)
    assert decode(data).shape == (2000, 2000, 3)
    last_scan = data[data.rindex(b"\xff\xc4", 0, data.rindex(b"\xff\xda")) : -2]
    bomb = data[:-2] + last_scan * 5000 + data[-2:]
    start = time.perf_counter()
    with pytest.raises(CorruptImageError, match="more than 100 scans"):
        decode(bomb)
    assert time.perf_counter() - start < AT_ONCE


def test_a_sequential_jpeg_can_have_many_scans_too() -> None:
    data = encode(scene(64, 48), "JPEG", subsampling=0)
    at = data.index(b"\xff\xda")
    one_component = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + bytes(4)
    with pytest.raises(CorruptImageError, match="more than 100 scans"):
        decode(data[:at] + one_component * 200 + data[at:])


def test_large_run_length_bitmaps_are_refused() -> None:
    header = struct.pack("<IiiHHIIiiII", 40, 3000, 3000, 1, 8, 1, 0, 0, 0, 256, 0)
    data = b"BM" + struct.pack("<IHHI", 0, 0, 0, 1078) + header + bytes(1024) + b"\1\7" * 2_500_000
    with pytest.raises(UnsupportedImageError, match="run-length"):
        decode(data)


def test_memory_that_runs_out_is_an_image_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image.Image, "load", refuse)
    with pytest.raises(ImageTooLargeError, match="memory"):
        decode(Image.new("RGB", (3, 3)))


def test_an_animation_costs_no_more_than_its_first_frame() -> None:
    frame = Image.fromarray(scene(300, 200))
    frames = [Image.fromarray(np.roll(scene(300, 200), shift, axis=1)) for shift in range(1, 60)]
    buffer = io.BytesIO()
    frame.save(buffer, "WEBP", save_all=True, append_images=frames, lossless=True, method=0)
    start = time.perf_counter()
    assert np.array_equal(decode(buffer.getvalue()), scene(300, 200))
    assert time.perf_counter() - start < AT_ONCE


def test_an_avif_whose_stream_is_larger_than_it_says() -> None:
    honest = encode(Image.new("RGBA", (2000, 2000), (10, 200, 30, 77)), "AVIF", speed=10)
    at = honest.index(b"ispe") + 8
    small = patched(honest, (at, struct.pack(">II", 64, 64)))
    with pytest.raises(ImageMemoryError, match=r"takes up to \d+ MB to decode \(64 x 64 pixels of AVIF\)"):
        decode(small, limits=Limits(memory=DecodingMemory(64 << 20)))
    with pytest.raises(ImageTooLargeError, match=r"holds 8\.0 megapixels in its streams"):
        decode(small, limits=Limits(max_pixels=64 * 64))


def test_an_avif_whose_picture_is_nowhere() -> None:
    data = encode(scene(), "AVIF", speed=10)
    stream = data.index(b"mdat") + 4
    with pytest.raises(CorruptImageError, match="where its pixels should be there are none"):
        decode(data[:stream] + bytes(len(data) - stream))


@pytest.mark.parametrize("form", ["PNG", "GIF", "BMP", "PPM", "TIFF"])
def test_a_photo_of_many_pixels_is_heavy_however_little_memory_it_takes(form: str) -> None:
    photo = encode(np.zeros((300, 400), np.uint8), form)
    few = Limits(light=DecodeBound(max_bytes=1 << 30, max_pixels=300 * 400 - 1))
    with pytest.raises(HeavyImageError):
        preprocess(photo, PreprocessSpec(size=32), limits=few)
    enough = Limits(light=DecodeBound(max_bytes=1 << 30, max_pixels=300 * 400))
    assert preprocess(photo, PreprocessSpec(size=32), limits=enough).shape


def test_of_a_jpeg_the_pixels_count_that_are_decoded() -> None:
    photo = encode(scene(1600, 1200), "JPEG")
    few = Limits(light=DecodeBound(max_bytes=1 << 30, max_pixels=1200 * 1600 // 4))
    assert preprocess(photo, PreprocessSpec(size=32), limits=few).shape
    with pytest.raises(HeavyImageError):
        preprocess(photo, PreprocessSpec(size=1000), limits=few)
