"""Where in a photo the model looks, as boxes in source pixels.

That is the central square after resizing the shorter side, and in a wide or tall photo a square at either end as well:
of a photo of 16:9 the central one misses half.
"""

from __future__ import annotations

import math

from animal_classification.errors import UsageError
from animal_classification.imaging.spec import PreprocessSpec

Box = tuple[float, float, float, float]
"""Left, top, right and bottom; in pixels, or in fractions of the upright photo where that is said."""


# Longer than this times the shorter side is wide: 3:2, where cameras have always been, is not, by a rounded pixel.
WIDE = 1.55


def is_wide(width: int, height: int) -> bool:
    """Whether the central square misses so much of a photo, wide or tall, that its ends are looked at as well."""
    return max(width, height) > WIDE * min(width, height)


def crop_boxes(width: int, height: int, spec: PreprocessSpec) -> list[Box]:
    """The parts of an upright photo that are judged one by one: the central square first.

    Args:
        width: Of the upright photo, in pixels.
        height: Of the upright photo, in pixels.
        spec: What the model wants.

    Returns:
        One box, or three where the photo is wide or tall, as from :func:`crop_box`.
    """
    centre = crop_box(width, height, spec)
    if not is_wide(width, height):
        return [centre]
    left, top, right, bottom = centre
    if width > height:
        return [centre, (0.0, top, right - left, bottom), (width - (right - left), top, float(width), bottom)]
    return [centre, (left, 0.0, right, bottom - top), (left, height - (bottom - top), right, float(height))]


def crop_box(width: int, height: int, spec: PreprocessSpec) -> Box:
    """Find the part of an upright photo that becomes the model's input.

    Resizing this box to ``size`` x ``size`` gives the pixels of torchvision's ``Resize(resize_to)`` followed by
    ``CenterCrop(size)``, down to its rounding, without computing those that the crop throws away: a 1 x 5000 strip
    would otherwise become 256 x 1,280,000 first.

    Args:
        width: Of the upright photo, in pixels.
        height: Of the upright photo, in pixels.
        spec: What the model wants.

    Returns:
        Left, top, right and bottom in source pixels, fractions included.
    """
    short = spec.resize_to
    if width <= height:
        new_width, new_height = short, int(short * height / width)
    else:
        new_width, new_height = int(short * width / height), short
    left = round((new_width - spec.size) / 2)
    top = round((new_height - spec.size) / 2)
    x, y = width / new_width, height / new_height
    return left * x, top * y, (left + spec.size) * x, (top + spec.size) * y


def require_box(box: Box) -> None:
    """Make sure that some of a photo is inside of a box in fractions of it.

    Raises:
        UsageError: Nothing is.
    """
    left, top, right, bottom = box
    if not (all(map(math.isfinite, box)) and max(left, 0) < min(right, 1) and max(top, 0) < min(bottom, 1)):
        raise UsageError(
            f"the box {box} holds nothing of the photo; wanted: left, top, right and bottom, as fractions from 0 to 1"
        )


def pixel_box(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """The whole pixels that a box holds, at least one, cut to the photo.

    >>> pixel_box((0.25, 0.5, 0.5, 1.0), 400, 300)
    (100, 150, 200, 300)

    Args:
        box: In fractions of the upright photo, as ``require_box`` lets through.
        width: Of the upright photo, in pixels.
        height: Of the upright photo, in pixels.

    """
    left, top, right, bottom = box
    x, y = min(width - 1, round(max(left, 0) * width)), min(height - 1, round(max(top, 0) * height))
    return x, y, max(x + 1, round(min(right, 1) * width)), max(y + 1, round(min(bottom, 1) * height))
