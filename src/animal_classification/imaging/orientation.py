"""Which way up a photo is: the EXIF orientation tag, read without trusting the rest of the EXIF block."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from animal_classification.imaging.geometry import Box

UPRIGHT = 1
_TAG = 0x0112
_BYTE_ORDERS = {b"II": "<", b"MM": ">"}
_VALUE_FORMATS = {1: "B", 3: "H", 4: "I"}  # by EXIF type: BYTE, SHORT, LONG
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = frozenset({5, 6, 7, 8})
_MIRRORED_X = frozenset({2, 3, 7, 8})  # the stored picture's x runs against the upright one's
_MIRRORED_Y = frozenset({3, 4, 6, 7})


def read_orientation(exif: object) -> int:
    """Read the orientation, 1 to 8, from a raw EXIF block.

    Pillow's own reader parses every tag, warns on damaged ones and raises on some; a photo whose EXIF is broken is
    still a photo, so anything that is not a clear answer counts as upright.
    """
    if not isinstance(exif, bytes):
        return UPRIGHT
    block = exif.removeprefix(b"Exif\0\0")
    order = _BYTE_ORDERS.get(block[:2])
    if order is None:
        return UPRIGHT
    try:
        (start,) = struct.unpack_from(order + "I", block, 4)
        (count,) = struct.unpack_from(order + "H", block, start)
        for at in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(order + "HH", block, at)
            if tag == _TAG and kind in _VALUE_FORMATS:
                return valid_orientation(struct.unpack_from(order + _VALUE_FORMATS[kind], block, at + 8)[0])
    except struct.error:
        pass
    return UPRIGHT


def valid_orientation(value: object) -> int:
    """The orientation if it is one of the eight, else upright."""
    return value if isinstance(value, int) and UPRIGHT <= value <= 8 else UPRIGHT


def turn(image: Image.Image, orientation: int) -> Image.Image:
    """Turn a stored picture upright."""
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def turn_array(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Turn a stored picture upright, uint8 ``[H, W, 3]``."""
    if orientation not in _TURNS:
        return pixels
    if orientation in _SIDEWAYS:
        pixels = pixels.swapaxes(0, 1)
    # The axes are the upright picture's now, so that the table of mirrored ones is read the other way round.
    x, y = (_MIRRORED_Y, _MIRRORED_X) if orientation in _SIDEWAYS else (_MIRRORED_X, _MIRRORED_Y)
    return np.ascontiguousarray(pixels[:: -1 if orientation in y else 1, :: -1 if orientation in x else 1])


def upright_size(width: int, height: int, orientation: int) -> tuple[int, int]:
    """Width and height after turning."""
    return (height, width) if orientation in _SIDEWAYS else (width, height)


def stored_box(box: Box, width: int, height: int, orientation: int) -> Box:
    """Find a box of the upright picture in the stored one.

    Cropping first and turning the small result is exact, and spares turning millions of pixels.

    Args:
        box: Left, top, right, bottom in the upright picture.
        width: Of the stored picture.
        height: Of the stored picture.
        orientation: EXIF orientation, 1 to 8.
    """
    left, top, right, bottom = box
    if orientation in _SIDEWAYS:
        left, top, right, bottom = top, left, bottom, right
    if orientation in _MIRRORED_X:
        left, right = width - right, width - left
    if orientation in _MIRRORED_Y:
        top, bottom = height - bottom, height - top
    return left, top, right, bottom
