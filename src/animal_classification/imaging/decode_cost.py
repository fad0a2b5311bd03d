"""How many bytes it takes to decode a photo, at most: known from its header, before a decoder allocates anything.

    format                 bytes a pixel, beside the picture as Pillow stores it
    JPEG                   none: a few rows at a time
    JPEG in several scans  2 for each component: the coefficients of all of it (libjpeg, jdcoefct.c)
    PNG                    none; animated ones 5, a canvas and a part of it that Pillow sets up while it opens the file
    GIF                    2: a canvas and a part of it, of one byte a pixel
    WebP                   12: two canvases of libwebp's animation decoder, which Pillow uses for every file, and bytes
    TIFF, compressed       a strip or tile as it is stored, all of the picture where that is a single one
    AVIF                   8: RGBA of libavif, and bytes; and 12 for each pixel of its streams (those of alpha, and of
                           parts, too): three planes of 16 bits, and a copy where film grain is added
    HEIF                   14: planes, RGBA of libheif, and bytes
    BMP, DIB, other TIFF   none
    PNM                    8: a copy of 16-bit values, or of bits as bytes

Measured, the peak of a process over what it had before (Pillow 12.3, libwebp 1.6, libavif 1.4.2 with dav1d, pillow-heif
1.8, glibc; 29 November 2026), in bytes a pixel of 3000 x 3000 with what is stored: WebP 16.0 to 16.1, AVIF 9.5 (8 bits)
to 22 (10 bits 4:4:4 with alpha and film grain), HEIF 9.8 to 12.8, animated PNG 8.7, progressive CMYK 8.3, TIFF in
one strip 8.0, PNG with alpha 4.7, GIF 1.6 to 2.7. ``tests/unit/imaging/test_decoding_memory.py`` measures again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from PIL.ImageFile import ImageFile

from animal_classification.imaging.file_type import Format
from animal_classification.imaging.headers import Declared
from animal_classification.imaging.pixel_formats import BAND

_BESIDE = {Format.WEBP: 12.0, Format.GIF: 2.0, Format.AVIF: 8.0, Format.HEIF: 14.0, Format.PNM: 8.0}
ALLOCATED_WHEN_OPENED = frozenset({Format.GIF, Format.PNG, Format.WEBP})
_KEPT = frozenset({Format.WEBP, Format.AVIF, Format.HEIF})  # what stands beside stays until the photo is gone
_CODED = 12.0
_ANIMATED_PNG = 5.0
_COEFFICIENT = 2.0  # bytes
_BLOCKS = 32  # pixels by which a JPEG grows to whole blocks, at most
# Pillow's own bytes a pixel (Storage.c); three channels take four bytes.
_STORED = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}
_WIDEST = 4
# Where all of a picture is wanted: a copy in RGB, and the same turned or as an array.
_WHOLE = 8.0
_BAND_BYTES = 36  # of each pixel of a band: its floats, its alpha, its place on white
_TEXT = 4 << 20  # a compressed text in a PNG, of a million characters at most
_ENCODED = 2  # the file, and a decoder's copy of it
_SMALL_CHANGE = 4 << 20  # headers, tables, a decoder's rows, what the allocator rounds up


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodeCost:
    """What becomes of a photo when it is decoded.

    Attributes:
        side: The longer side of what is made of it, in pixels; 0 where all of it is wanted.
        min_side: A JPEG may be decoded at reduced scale as long as its shorter side keeps this.
    """

    side: int = 0
    min_side: int | None = None


def bytes_to_open(format_: Format, declared: Declared, length: int, use: DecodeCost) -> int:
    """What a GIF, PNG, PNM or WebP takes; Pillow allocates parts of these while it opens them.

    Args:
        format_: One of the four.
        declared: What the file says of itself.
        length: Of the file, in bytes.
        use: What becomes of it.
    """
    each = _BESIDE.get(format_, _ANIMATED_PNG if declared.animated else 0.0)
    beside = each * math.prod(declared.size) + declared.texts * _TEXT
    return _total(format_, declared.size, declared.stored, beside, length, use)


def bytes_to_load(format_: Format, image: ImageFile, declared: Declared | None, length: int, use: DecodeCost) -> int:
    """What any other photo takes, once its header is read and the scale chosen at which it is decoded.

    Args:
        format_: Any but those four.
        image: Opened.
        declared: What the file says of itself, where that is known.
        length: Of the file, in bytes.
        use: What becomes of it.
    """
    if format_ is Format.TIFF:
        beside: float = _strip(image)
    elif format_ is Format.JPEG and declared is not None:
        beside = _COEFFICIENT * declared.components * math.prod(side + _BLOCKS for side in declared.size)
    else:
        beside = _BESIDE.get(format_, 0.0) * math.prod(image.size) + _CODED * (declared.coded if declared else 0)
    return _total(format_, image.size, _STORED.get(image.mode, _WIDEST), beside, length, use)


def _total(format_: Format, size: tuple[int, int], stored: int, beside: float, length: int, use: DecodeCost) -> int:
    """What is stored, and what stands beside it while it is decoded and afterwards.

    Of a few bands the allocator makes no use of what a decoder has freed; for a whole copy it does.
    """
    pixels, longer = math.prod(size), max(size)
    if use.side:
        band = _BAND_BYTES * min(pixels, max(BAND, longer))
        afterwards: float = band + _WIDEST * use.side * longer  # between the two passes of resizing
    else:
        afterwards = _WHOLE * pixels
    both = beside + afterwards if use.side or format_ in _KEPT else max(beside, afterwards)
    return round(stored * pixels + both) + _ENCODED * length + _SMALL_CHANGE


def _strip(image: ImageFile) -> int:
    """Bytes of the largest piece of a TIFF that is unpacked at once."""
    tags = getattr(image, "tag_v2", {})
    if tags.get(259, 1) == 1:  # compression: none
        return 0
    width, height = image.size
    if 322 in tags:  # tiles, else rows to a strip
        width, height = tags[322], tags.get(323, height)
    else:
        height = min(height, tags.get(278, height))
    bits: int = max(tags.get(258, (1,))) * tags.get(277, 1)
    return int(width * height * max(_WIDEST, bits / 8))  # YCbCr is unpacked to four bytes
