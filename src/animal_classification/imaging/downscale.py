"""Pictures made smaller without a whole copy of them in RGB: band by band, and to the same pixels.

Pillow resizes in two passes, with 8-bit pixels between them: each row by itself, then each column by itself. So rows
can be converted and resized some at a time; what is between the passes is as narrow as the result.
"""

from __future__ import annotations

import math

from PIL import Image

from animal_classification.imaging.geometry import Box
from animal_classification.imaging.pixel_formats import BAND, Flat, bands

_REACH = 3  # of Lanczos, the widest filter, in pixels of the smaller picture
# Above this height to a pixel of width, Pillow takes the columns first (Image.resize).
_TALL = 100


def resize(picture: Flat, size: tuple[int, int], box: Box, resample: Image.Resampling) -> Image.Image:
    """Resize a part of a picture; what ``picture.whole().resize(size, resample, box)`` gives.

    Args:
        picture: In whatever mode it is stored.
        size: Width and height of the result.
        box: Left, top, right and bottom of the part, in pixels of the picture.
        resample: Pillow's filter.

    Returns:
        Mode ``L`` or ``RGB``.
    """
    width, height = picture.size
    if picture.is_stored or width * height <= BAND:
        return picture.whole().resize(size, resample, box=box)
    left, top, right, bottom = box
    if height > _TALL * width and size[1] < height:
        between = Image.new(picture.mode, (width, size[1]))
        for start, end in _needed(width, height, (left, right, size[0])):
            part = picture.part(start, 0, end, height)
            columns = part.resize((end - start, size[1]), resample, box=(0, top, end - start, bottom))
            between.paste(columns, (start, 0))
        return between.resize(size, resample, box=(left, 0, right, size[1]))
    between = Image.new(picture.mode, (size[0], height))
    for start, end in _needed(height, width, (top, bottom, size[1])):
        part = picture.part(0, start, width, end)
        rows = part.resize((size[0], end - start), resample, box=(left, 0, right, end - start))
        between.paste(rows, (0, start))
    return between.resize(size, resample, box=(0, top, size[0], bottom))


def _needed(length: int, breadth: int, span: tuple[float, float, int]) -> list[tuple[int, int]]:
    """The bands from which a span is resized to so many pixels; the filter reaches beyond its ends."""
    first, last, count = span
    reach = _REACH * max(1.0, (last - first) / count) + 2
    low, high = math.floor(first - reach), math.ceil(last + reach)
    return [(start, end) for start, end in bands(length, breadth) if end > low and start < high]
