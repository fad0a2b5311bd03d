"""A decoded photo, and what can be made of it: all pixels, a thumbnail, what a model sees, the part inside a box."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from animal_classification.imaging.downscale import resize
from animal_classification.imaging.geometry import Box, crop_box, crop_boxes, pixel_box
from animal_classification.imaging.orientation import stored_box, turn, turn_array, upright_size
from animal_classification.imaging.pixel_formats import Flat, bands
from animal_classification.imaging.spec import PreprocessSpec

_RESAMPLING = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "lanczos": Image.Resampling.LANCZOS,
    "nearest": Image.Resampling.NEAREST,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Photo:
    """Decoded pixels, as stored; made by ``opened``.

    Attributes:
        pixels: As the file stores them; converted where they are asked for.
        orientation: EXIF orientation that is still to be applied.
        full_size: Width and height that the file declares.
        extent: Width and height of the picture in ``pixels``: fractions where a reduced scale does not divide evenly.
    """

    pixels: Flat
    orientation: int
    full_size: tuple[int, int]
    extent: tuple[float, float]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the upright photo."""
        return upright_size(*self.full_size, self.orientation)

    def upright(self) -> Image.Image:
        """All of it, mode ``L`` or ``RGB``."""
        return turn(self.pixels.whole(), self.orientation)

    def array(self) -> NDArray[np.uint8]:
        """All of it, RGB, uint8 ``[H, W, 3]``."""
        width, height = self.pixels.size
        pixels = np.empty((height, width, 3), np.uint8)
        for top, bottom in bands(height, width):
            pixels[top:bottom] = np.asarray(self.pixels.part(0, top, width, bottom).convert("RGB"))
        return turn_array(pixels, self.orientation)

    def thumbnail(self, side: int) -> Image.Image:
        """RGB, shrunk in proportion so that neither side is longer than ``side``; never enlarged."""
        width, height = self.pixels.size
        scale = min(1.0, side / max(width, height))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        shrunk = resize(self.pixels, size, (0, 0, width, height), Image.Resampling.BICUBIC)
        return turn(shrunk, self.orientation).convert("RGB")

    def resized(self, size: tuple[int, int], interpolation: str) -> NDArray[np.uint8]:
        """All of it at exactly this size, whatever that does to its proportions: RGB, uint8 ``[height, width, 3]``.

        Args:
            size: Width and height of the upright result.
            interpolation: As in ``PreprocessSpec``.
        """
        stored = upright_size(*size, self.orientation)  # a quarter turn is its own inverse here
        resized = resize(self.pixels, stored, (0.0, 0.0, *self.extent), _RESAMPLING[interpolation])
        return np.array(turn(resized, self.orientation).convert("RGB"))

    def inside(self, box: Box) -> Photo:
        """The part of it inside a box, as a photo of its own.

        Args:
            box: In fractions of the upright photo, as ``geometry.require_box`` lets through.
        """
        left, top, right, bottom = _stored(self, pixel_box(box, *self.size))
        part = Flat(self.pixels.part(math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)))
        return Photo(pixels=part, orientation=self.orientation, full_size=part.size, extent=part.size)

    def for_model(self, spec: PreprocessSpec) -> NDArray[np.uint8]:
        """What a model sees, RGB, uint8 ``[size, size, 3]``."""
        return self._crop(crop_box(*self.size, spec), spec)

    def crops_for_model(self, spec: PreprocessSpec) -> NDArray[np.uint8]:
        """All that a model looks at, the centre first: RGB, uint8 ``[crops, size, size, 3]``."""
        return np.stack([self._crop(box, spec) for box in crop_boxes(*self.size, spec)])

    def _crop(self, box: Box, spec: PreprocessSpec) -> NDArray[np.uint8]:
        stored = _stored(self, box)
        resized = resize(self.pixels, (spec.size, spec.size), stored, _RESAMPLING[spec.interpolation])
        return np.array(turn(resized, self.orientation).convert("RGB"))


def _stored(picture: Photo, box: Box) -> Box:
    """A box of the upright photo in the pixels as they are stored."""
    width, height = picture.full_size
    left, top, right, bottom = stored_box(box, width, height, picture.orientation)
    x, y = picture.extent[0] / width, picture.extent[1] / height
    # Rounding can leave a border 1e-12 outside, which Pillow refuses.
    return (
        max(0.0, left * x),
        max(0.0, top * y),
        min(picture.extent[0], right * x),
        min(picture.extent[1], bottom * y),
    )
