"""Bodies that are small and cost much: photos that declare all the pixels they may, JSON, base64."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from math import isqrt
from typing import Any

from PIL import Image, features

MEGABYTE = 1_000_000


def photos(pixels: int) -> Iterator[tuple[str, bytes]]:
    """One of each format and of each kind that takes more memory, with nearly so many pixels."""
    side = isqrt(pixels)
    size = (side, side)
    kinds: list[tuple[str, str, str, dict[str, Any]]] = [
        ("png-grey", "L", "PNG", {}),
        ("png-alpha", "RGBA", "PNG", {}),
        ("png-16", "I;16", "PNG", {}),
        ("gif", "P", "GIF", {}),
        ("jpeg", "L", "JPEG", {"quality": 1}),
        ("jpeg-progressive-cmyk", "CMYK", "JPEG", {"quality": 1, "progressive": True}),
        ("tiff-float", "F", "TIFF", {"compression": "tiff_adobe_deflate"}),
        ("tiff-cmyk", "CMYK", "TIFF", {"compression": "tiff_adobe_deflate"}),
        ("bmp-1", "1", "BMP", {}),
        ("pbm", "1", "PPM", {}),
    ]
    if features.check("webp") and side <= 16_383:
        kinds.append(("webp-alpha", "RGBA", "WEBP", {"lossless": True, "method": 0, "exact": True}))
    if features.check("avif") and pixels <= 4_000_000:  # its encoder takes minutes for more
        kinds.append(("avif", "RGB", "AVIF", {"speed": 10}))
    for name, mode, kind, options in kinds:
        buffer = io.BytesIO()
        Image.new(mode, size).save(buffer, kind, **options)
        yield name, buffer.getvalue()


def texts(size: int) -> Iterator[tuple[str, bytes]]:
    """JSON of about so many bytes that is hard on parsers, for the Open Inference Protocol."""

    def tensor(data: bytes, shape: bytes = b"[1]") -> bytes:
        head = b'{"inputs":[{"name":"photos","datatype":"BYTES","shape":' + shape
        return head + b',"data":[' + data + b"]}]}"

    yield "json-parameters", b'{"parameters":{"x":[' + b'{"a":1},' * (size // 8) + b'1]},"inputs":[]}'
    yield "json-empty-lists", tensor(b"[]," * (size // 3) + b"[]")
    yield "json-deep", b"[" * size
    yield "json-digits", tensor(b"", b"[" + b"9" * size + b"]")
    yield "json-strings", tensor(b'"",' * (size // 3) + b'""')
    yield "json-blanks", b" " * size
    yield "json-escapes", tensor(b'"' + b"\\/" * (size // 2) + b'"')
    yield "json-quotes", tensor(b'"' + b'\\"' * (size // 2) + b'"')
    yield "json-unended", tensor(b"")[:-5] + b'"' + b"A" * size
    yield "base64-one", tensor(b'"' + b"QUFB" * (size // 4) + b'"')
    yield "base64-many", tensor(b",".join([b'"' + b"QUFB" * (size // 256) + b'"'] * 64), b"[64]")
    yield "json-small-digits", json.dumps({"inputs": [{"shape": [10**4000, 10**4000]}]}).encode()
