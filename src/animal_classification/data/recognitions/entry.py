"""One file as another program describes it, and its boxes as they are written there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from animal_classification.data.detections import Category, Detection

# A box that is thinner than this fraction of the picture holds nothing.
_LEAST = 1e-6
# Programs write 1.0000001 for a sum of probabilities; 97 is a percentage.
_ROUNDING = 1e-3

Size = tuple[int, int]


class Corners(NamedTuple):
    """A box as it is written, in fractions of the picture or in pixels."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelDetection:
    """A box in pixels, of a file that does not say how large the picture is."""

    category: Category
    confidence: float
    corners: Corners
    frame: int | None = None
    label: str = ""
    label_probability: float | None = None

    def of_size(self, size: Size) -> Detection | None:
        """The box as fractions of a picture of this width and height; ``None`` where it lies outside of it."""
        width, height = size
        left, top, right, bottom = self.corners
        return detection(
            self.category,
            self.confidence,
            Corners(left / width, top / height, right / width, bottom / height),
            frame=self.frame,
            label=self.label,
            label_probability=self.label_probability,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognizedFile:
    """What another program says about one photo or video.

    Attributes:
        name: The file's path as it is written there.
        boxes: What was found, cut to the picture; empty where nothing was; ``None`` where the file does not say.
        pixel_boxes: Boxes in pixels, where the file does not say how large the picture is; ``boxes`` is then empty.
        label: What the picture shows, where that is said of the whole picture.
        label_probability: Of that label, where it is said.
        blank: Whether the file says that there is nothing in the picture.
        time: When it was taken, as it is written; empty where it is not.
        location: The place, as it is written.
        deployment: The time of a camera at a place, as it is written.
        sequence: What was taken together: a burst, an event.
        failure: Why the program could not read the picture; empty where it could.
        size: Width and height of the picture that the boxes were found in, where they are said.
    """

    name: str
    boxes: tuple[Detection, ...] | None = None
    pixel_boxes: tuple[PixelDetection, ...] = ()
    label: str = ""
    label_probability: float | None = None
    blank: bool = False
    time: str = ""
    location: str = ""
    deployment: str = ""
    sequence: str = ""
    failure: str = ""
    size: Size | None = None

    @property
    def place(self) -> str:
        """The location, or else the deployment: its pictures share a background, which a model can learn instead."""
        return self.location or self.deployment


def detection(
    category: Category,
    confidence: float | None,
    corners: Corners,
    *,
    frame: int | None = None,
    label: str = "",
    label_probability: float | None = None,
) -> Detection | None:
    """A box in fractions, cut to the picture.

    Returns:
        ``None`` where nothing is left of it, or a number is none or out of range.
    """
    score = 1.0 if confidence is None else confidence
    if not (-_ROUNDING <= score <= 1 + _ROUNDING and all(map(math.isfinite, corners))):
        return None
    left, top = max(0.0, corners.left), max(0.0, corners.top)
    width, height = min(1.0, corners.right) - left, min(1.0, corners.bottom) - top
    if width < _LEAST or height < _LEAST:
        return None
    return Detection(
        category=category,
        confidence=min(1.0, max(0.0, score)),
        x=left,
        y=top,
        width=width,
        height=height,
        frame=frame,
        label=label,
        label_probability=label_probability,
    )


def is_turned(written: Size, upright: Size) -> bool:
    """Whether boxes were measured on a picture that nobody had turned by its EXIF orientation."""
    return (written[0] < written[1]) != (upright[0] < upright[1]) and written[0] != written[1]
