"""Binary PBM, PGM and PPM, read with NumPy.

Pillow unpacks every picture whose white is not 255 or 65535 in Python, 1.2 s a megapixel: 12-bit cameras write those.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from animal_classification.errors import CorruptImageError
from animal_classification.imaging.headers import Declared, require_pixels
from animal_classification.imaging.pixel_formats import scale_levels
from animal_classification.imaging.spec import Limits

_SPACE = rb"(?:\s|#[^\r\n]*[\r\n])+"
_BITS = re.compile(rb"P(4)" + _SPACE + rb"(\d{1,9})" + _SPACE + rb"(\d{1,9})\s")
_LEVELS = re.compile(rb"P([56])" + _SPACE + rb"(\d{1,9})" + _SPACE + rb"(\d{1,9})" + _SPACE + rb"(\d{1,5})\s")


@dataclass(frozen=True, slots=True)
class PnmHeader:
    """Of a binary PNM.

    Attributes:
        declared: Its size in pixels.
        kind: 4 for bits, 5 for grey, 6 for colour.
        white: The level that means white.
        start: Where the pixels begin, in bytes.
    """

    declared: Declared
    kind: int
    white: int
    start: int


def pnm_header(data: bytes, limits: Limits) -> PnmHeader:
    """Read the header of a binary PNM file.

    Raises:
        CorruptImageError: It is damaged.
        ImageTooLargeError: It declares more pixels than allowed.
    """
    found = _BITS.match(data) or _LEVELS.match(data)
    if found is None:
        raise CorruptImageError("is damaged (its PNM header cannot be read)")
    kind, width, height = int(found[1]), int(found[2]), int(found[3])
    white = int(found[4]) if kind != 4 else 1
    if not (width and height and 0 < white < 65536):
        raise CorruptImageError("is damaged (its PNM header declares nothing to see)")
    require_pixels(width, height, limits)
    declared = Declared(size=(width, height), stored=4 if kind == 6 else 1)
    return PnmHeader(declared, kind, white, found.end())


def read_pnm(data: bytes, header: PnmHeader) -> Image.Image:
    """Decode a binary PNM file to mode ``L`` or ``RGB``.

    Raises:
        CorruptImageError: Fewer pixels than it declares.
    """
    width, height = header.declared.size
    if header.kind == 4:
        row = (width + 7) // 8
        bits = np.unpackbits(_take(data, header.start, row * height, "u1").reshape(height, row), axis=1)
        return Image.fromarray((1 - bits[:, :width]) * np.uint8(255))
    channels = 3 if header.kind == 6 else 1
    values = _take(data, header.start, width * height * channels, "u1" if header.white < 256 else ">u2")
    levels = values if header.white == 255 else scale_levels(values.reshape(height, -1), 0.0, float(header.white))
    return Image.fromarray(levels.reshape((height, width, 3) if channels == 3 else (height, width)))


def _take(data: bytes, offset: int, count: int, kind: str) -> NDArray[Any]:
    present = (len(data) - offset) // np.dtype(kind).itemsize
    if present < count:
        raise CorruptImageError(f"is cut short (it holds {present:,} of {count:,} values)")
    return np.frombuffer(data, kind, count, offset)
