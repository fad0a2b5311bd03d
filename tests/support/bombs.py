"""Small files that take as much memory to decode as their format allows: one colour, ``side`` x ``side`` pixels."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Any

from PIL import Image

from tests.unit.imaging.drawing import HAS_HEIF, chunk, encode, heic

_VEILED = (10, 200, 30, 77)
_INK = (9, 9, 200, 4)


def bombs(side: int) -> dict[str, Callable[[], bytes]]:
    """What draws each, by name."""

    def plain(mode: str, *colour: Any, kind: str, **options: Any) -> Callable[[], bytes]:
        paint = colour[0] if len(colour) == 1 else colour
        return lambda: encode(Image.new(mode, (side, side), paint), kind, **options)

    def apng() -> bytes:
        frames = [Image.new("RGBA", (side, side), (*_VEILED[:3], alpha)) for alpha in (1, 2)]
        return encode(frames[0], "PNG", save_all=True, append_images=frames[1:], disposal=1)

    one_strip = {"tiffinfo": {278: side}}
    drawn = {
        "webp lossless, alpha": plain("RGBA", *_VEILED, kind="WEBP", lossless=True, method=0, quality=0),
        "webp, alpha": plain("RGBA", *_VEILED, kind="WEBP", method=0, quality=5),
        "webp": plain("RGB", *_INK[:3], kind="WEBP", method=0, quality=5),
        "gif": plain("P", 3, kind="GIF"),
        "gif, transparent": plain("P", 3, kind="GIF", transparency=3),
        "gif, disposed": plain("P", 3, kind="GIF", transparency=5, disposal=2),
        "png, alpha": plain("RGBA", *_VEILED, kind="PNG", compress_level=1),
        "png, grey and alpha": plain("LA", 3, 4, kind="PNG", compress_level=1),
        "png, palette": plain("P", 3, kind="PNG", transparency=3, compress_level=1),
        "png, one colour transparent": plain("RGB", 3, 4, 5, kind="PNG", transparency=(3, 4, 5), compress_level=1),
        "png, 16 bits": plain("I;16", 300, kind="PNG", compress_level=1),
        "png, 16 bits, alpha": lambda: deep_png(side),
        "png, animated": apng,
        "jpeg": plain("RGB", *_INK[:3], kind="JPEG"),
        "jpeg, progressive": plain("RGB", *_INK[:3], kind="JPEG", progressive=True, subsampling=0),
        "jpeg, progressive, cmyk": plain("CMYK", *_INK, kind="JPEG", progressive=True, subsampling=0),
        "tiff, floats": plain("F", 0.5, kind="TIFF", compression="tiff_adobe_deflate"),
        "tiff, floats, one strip": plain("F", 0.5, kind="TIFF", compression="tiff_adobe_deflate", **one_strip),
        "tiff, cmyk": plain("CMYK", *_INK, kind="TIFF", compression="tiff_adobe_deflate"),
        "tiff, alpha, one strip": plain("RGBA", *_VEILED, kind="TIFF", compression="tiff_lzw", **one_strip),
        "tiff, jpeg, one strip": plain("RGB", *_INK[:3], kind="TIFF", compression="jpeg", **one_strip),
        "avif": plain("RGB", *_INK[:3], kind="AVIF", speed=10),
        "avif, alpha": plain("RGBA", *_VEILED, kind="AVIF", speed=10, subsampling="4:4:4"),
    }
    if HAS_HEIF:
        drawn["heic, alpha"] = lambda: heic(Image.new("RGBA", (side, side), _VEILED), chroma=444)
    return drawn


def deep_png(side: int) -> bytes:
    """Colour and alpha of 16 bits, which Pillow reads and does not write."""
    packer = zlib.compressobj(1)
    row = b"\0" + bytes(8 * side)
    rows = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 16, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
