"""Binary PBM, PGM and PPM, read with NumPy.

Pillow unpacks every picture whose white is not 255 or 65535 in Python, 1.2 s a megapixel: 12-bit cameras write those.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from animal_classification.errors import CorruptImageError
from animal_classification.imaging.pixels import scale_levels
from animal_classification.imaging.spec import Limits
from animal_classification.imaging.structure import require_pixels

_SPACE = rb"(?:\s|#[^\r\n]*[\r\n])+"
_BITS = re.compile(rb"P(4)" + _SPACE + rb"(\d{1,9})" + _SPACE + rb"(\d{1,9})\s")
_LEVELS = re.compile(rb"P([56])" + _SPACE + rb"(\d{1,9})" + _SPACE + rb"(\d{1,9})" + _SPACE + rb"(\d{1,5})\s")


def read_pnm(data: bytes, limits: Limits) -> Image.Image:
    """Decode a binary PNM file to mode ``L`` or ``RGB``.

    Raises:
        CorruptImageError: A damaged header, or fewer pixels than it declares.
        ImageTooLargeError: It declares more pixels than allowed.
    """
    header = _BITS.match(data) or _LEVELS.match(data)
    if header is None:
        raise CorruptImageError("is damaged (its PNM header cannot be read)")
    width, height = int(header[2]), int(header[3])
    white = int(header[4]) if header[1] != b"4" else 1
    if not (width and height and 0 < white < 65536):
        raise CorruptImageError("is damaged (its PNM header declares nothing to see)")
    require_pixels(width, height, limits)
    if header[1] == b"4":
        row = (width + 7) // 8
        bits = np.unpackbits(_take(data, header.end(), row * height, "u1").reshape(height, row), axis=1)
        return Image.fromarray((1 - bits[:, :width]) * np.uint8(255))
    channels = 3 if header[1] == b"6" else 1
    values = _take(data, header.end(), width * height * channels, "u1" if white < 256 else ">u2")
    levels = values if white == 255 else scale_levels(values.reshape(height, -1), 0.0, float(white))
    return Image.fromarray(levels.reshape((height, width, 3) if channels == 3 else (height, width)))


def _take(data: bytes, offset: int, count: int, kind: str) -> NDArray[Any]:
    present = (len(data) - offset) // np.dtype(kind).itemsize
    if present < count:
        raise CorruptImageError(f"is cut short (it holds {present:,} of {count:,} values)")
    return np.frombuffer(data, kind, count, offset)
