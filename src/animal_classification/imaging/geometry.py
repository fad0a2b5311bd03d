"""Where in a photo the model looks: resize the shorter side, keep the central square, as one box in source pixels."""

from __future__ import annotations

from animal_classification.imaging.spec import PreprocessSpec

Box = tuple[float, float, float, float]


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
