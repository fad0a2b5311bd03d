"""A picture in a detector's square input, and boxes in that input back in the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animal_classification.detection.schema import DetectorInput
    from animal_classification.imaging.photo import Photo


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Where a picture lies in the input, in pixels of the input.

    Attributes:
        left: Its left edge.
        top: Its upper edge.
        width: Of the picture.
        height: Of the picture.
        canvas: Width and height of the input.
    """

    left: int
    top: int
    width: int
    height: int
    canvas: tuple[int, int]

    @classmethod
    def of(cls, width: int, height: int, wanted: DetectorInput) -> Letterbox:
        """For an upright picture of ``width`` x ``height`` pixels."""
        side = wanted.size
        if wanted.fit == "stretch":
            return cls(0, 0, side, side, (side, side))
        ratio = side / max(width, height) if wanted.enlarge else min(1.0, side / max(width, height))
        inner = max(1, min(side, round(width * ratio))), max(1, min(side, round(height * ratio)))
        canvas = (side, side)
        if wanted.multiple is not None:
            canvas = _rounded_up(inner[0], wanted.multiple), _rounded_up(inner[1], wanted.multiple)
        if wanted.fit == "pad_end":
            return cls(0, 0, *inner, canvas)
        return cls((canvas[0] - inner[0]) // 2, (canvas[1] - inner[1]) // 2, *inner, canvas)

    def draw(self, photo: Photo, wanted: DetectorInput) -> NDArray[np.uint8]:
        """The input: RGB, uint8 ``[height, width, 3]``."""
        inner = photo.resized((self.width, self.height), wanted.interpolation)
        if (self.width, self.height) == self.canvas:
            return inner
        canvas = np.full((self.canvas[1], self.canvas[0], 3), wanted.fill, dtype=np.uint8)
        canvas[self.top : self.top + self.height, self.left : self.left + self.width] = inner
        return canvas

    def to_picture(self, corners: NDArray[np.floating]) -> NDArray[np.float64]:
        """Corners ``[K, 4]`` in pixels of the input as fractions of the picture, cut to it."""
        offset = np.array([self.left, self.top, self.left, self.top], dtype=np.float64)
        scale = np.array([self.width, self.height, self.width, self.height], dtype=np.float64)
        return np.clip((np.asarray(corners, dtype=np.float64) - offset) / scale, 0.0, 1.0)


def _rounded_up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple
