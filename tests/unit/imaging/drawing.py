"""Photos drawn in code, and one of them encoded in every way that ``imaging`` reads."""

from __future__ import annotations

import importlib.util
import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

HAS_HEIF = importlib.util.find_spec("pillow_heif") is not None


def scene(width: int = 64, height: int = 48) -> NDArray[np.uint8]:
    """Draw a picture that no turn or flip leaves alike: red grows rightwards, green downwards, a blue disc top left."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    y, x = (y + 0.5) / height, (x + 0.5) / width
    blue = 40 + 200 / (1 + np.exp((np.hypot(x - 0.3, y - 0.25) - 0.2) * 30))
    return np.stack([30 + 200 * x, 20 + 210 * y, blue], axis=-1).astype(np.uint8)


def textured(width: int, height: int) -> NDArray[np.uint8]:
    """Draw fur and grass: the scene with detail of every size, the hard case for reduced-scale decoding."""
    rng = np.random.default_rng(7)
    picture = scene(width, height).astype(np.float64)
    for cell in (2, 5, 11, 30, 80):
        coarse = rng.normal(0, 12, (height // cell + 2, width // cell + 2)).astype(np.float32)
        layer = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        picture += np.asarray(layer)[:, :, None]
    return np.clip(picture, 0, 255).astype(np.uint8)


def encode(image: Image.Image | NDArray[Any], kind: str, **options: Any) -> bytes:
    """Encode with Pillow."""
    if not isinstance(image, Image.Image):
        image = Image.fromarray(image)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation: int, *, order: str = "<", kind: int = 3) -> bytes:
    """Build an EXIF block that holds nothing but the orientation."""
    value = struct.pack(order + {1: "B3x", 3: "H2x", 4: "I"}[kind], orientation)
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HIH", 42, 8, 1)
    return b"Exif\0\0" + head + struct.pack(order + "HHI", 0x0112, kind, 1) + value + bytes(4)


def png(width: int, height: int, raw: bytes, *, depth: int = 8, colour: int = 2, extra: bytes = b"") -> bytes:
    """Put a PNG together by hand, for what Pillow does not write; ``raw`` are the filtered rows."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    )


def chunk(kind: bytes, body: bytes) -> bytes:
    """One PNG chunk with its checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def frames(kind: str, **options: Any) -> bytes:
    """An animation, or pages, of which the first shows the scene and the others nothing but white."""
    first = Image.fromarray(scene())
    others = [Image.new("RGB", first.size, "white"), Image.new("RGB", first.size, "black")]
    if kind == "GIF":
        first, others = first.quantize(64), [other.quantize(64) for other in others]
    return encode(first, kind, save_all=True, append_images=others, **options)


def corpus(width: int = 64, height: int = 48) -> dict[str, bytes]:
    """The scene in every format and many variants, by name; a sound file each."""
    picture = Image.fromarray(scene(width, height))
    veiled = picture.copy()
    veiled.putalpha(Image.linear_gradient("L").resize(picture.size))
    deep = np.asarray(picture.convert("L")).astype(np.uint16) * 257
    painted = picture.quantize(32)
    drawn: dict[str, Callable[[], bytes]] = {
        "jpeg": lambda: encode(picture, "JPEG", quality=90, exif=exif(6)),
        "jpeg-progressive": lambda: encode(picture, "JPEG", progressive=True, comment=b"a comment"),
        "jpeg-grey": lambda: encode(picture.convert("L"), "JPEG"),
        "jpeg-cmyk": lambda: encode(picture.convert("CMYK"), "JPEG"),
        "jpeg-restarts": lambda: encode(picture, "JPEG", restart_marker_blocks=2, subsampling=0),
        "mpo": lambda: frames("MPO"),
        "png": lambda: encode(picture, "PNG", exif=exif(3)),
        "png-alpha": lambda: encode(veiled, "PNG"),
        "png-palette": lambda: encode(painted, "PNG", transparency=3),
        "png-grey-alpha": lambda: encode(veiled.convert("LA"), "PNG"),
        "png-16": lambda: encode(deep, "PNG"),
        "png-1": lambda: encode(picture.convert("1"), "PNG"),
        "apng": lambda: frames("PNG"),
        "gif": lambda: encode(painted, "GIF"),
        "gif-animated": lambda: frames("GIF"),
        "webp": lambda: encode(picture, "WEBP", exif=exif(8)),
        "webp-lossless-alpha": lambda: encode(veiled, "WEBP", lossless=True),
        "webp-animated": lambda: frames("WEBP", lossless=True),
        "bmp": lambda: encode(picture, "BMP"),
        "bmp-palette": lambda: encode(painted, "BMP"),
        "dib": lambda: encode(picture, "DIB"),
        "tiff": lambda: encode(picture, "TIFF"),
        "tiff-lzw": lambda: encode(picture, "TIFF", compression="tiff_lzw"),
        "tiff-jpeg": lambda: encode(picture, "TIFF", compression="jpeg"),
        "tiff-deflate-cmyk": lambda: encode(picture.convert("CMYK"), "TIFF", compression="tiff_adobe_deflate"),
        "tiff-float": lambda: encode(np.asarray(picture.convert("L")).astype(np.float32) / 255, "TIFF"),
        "tiff-pages": lambda: frames("TIFF"),
        "tiff-g4": lambda: encode(picture.convert("1"), "TIFF", compression="group4"),
        "avif": lambda: encode(picture, "AVIF", speed=10),
        "avif-alpha": lambda: encode(veiled, "AVIF", speed=10, exif=exif(6)),
        "ppm": lambda: encode(picture, "PPM"),
        "pgm-16": lambda: encode(deep, "PPM"),
        "pbm": lambda: encode(picture.convert("1"), "PPM"),
    }
    made = {name: draw() for name, draw in drawn.items()}
    if HAS_HEIF:
        made["heic"] = heic(picture)
        made["heic-alpha"] = heic(veiled)
    return made


def heic(image: Image.Image, *, orientation: int = 1, **options: Any) -> bytes:
    """Encode as HEIC, to be turned by ``orientation`` when shown; needs pillow-heif."""
    from pillow_heif import from_pillow

    buffer = io.BytesIO()
    encoder = from_pillow(image)
    encoder.info["exif"] = exif(orientation)
    encoder.save(buffer, **options)
    return buffer.getvalue()
