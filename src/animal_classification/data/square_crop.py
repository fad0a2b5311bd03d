"""Which part of a picture is named for a box: a square around it, which shows some of what is beside the animal.

Measured with true boxes on 60 trail photos (docs/field.md): the right group for 48 with a square of the box's longer
side, 47 with 1.2 times that and the best answers among those given, 38 with the box itself.
"""

from __future__ import annotations

from animal_classification.data.detections import Detection
from animal_classification.imaging.geometry import Box

MARGIN = 1.2


def square_crop(detection: Detection, width: int, height: int) -> Box:
    """The square, in fractions of the picture: left, top, right, bottom.

    Its side is ``MARGIN`` times the longer side of the box in pixels, at most the picture's shorter side; it is centred
    on the box and moved into the picture.

    Args:
        detection: The box.
        width: Of the upright picture, in pixels.
        height: Of the upright picture, in pixels.

    >>> square_crop(Detection(category="animal", confidence=1, x=0.4, y=0.4, width=0.1, height=0.2), 400, 200)
    (0.39, 0.38, 0.51, 0.62)
    """
    side = min(max(MARGIN * max(detection.width * width, detection.height * height), 1.0), width, height)
    left = _inside((detection.x + detection.width / 2) * width - side / 2, side, width)
    top = _inside((detection.y + detection.height / 2) * height - side / 2, side, height)
    corners = (left / width, top / height, (left + side) / width, (top + side) / height)
    return tuple(round(min(1.0, corner), 9) for corner in corners)  # type: ignore[return-value]


def _inside(start: float, side: float, length: int) -> float:
    return min(max(start, 0.0), length - side)
