"""Every pixel layout that Pillow knows, to 8-bit grey or RGB."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from animal_classification.errors import UnsupportedImageError

WHITE_16_BIT = 65535
# Pixels converted at a time: whole copies of a 100-megapixel picture, with alpha or as floats, are gigabytes; a band of
# this size stays in a core's cache.
BAND = 1 << 18


class Flat:
    """A loaded image of any mode as mode ``L`` or ``RGB``, transparency composited on white, computed where asked for.

    Args:
        image: Loaded; it is not changed.
        white: The 16-bit grey level that means white; 12-bit TIFF uses 4095.
        inverted: Whether 16-bit grey counts from white down to black.

    Attributes:
        size: Width and height, in pixels.
        mode: ``L`` or ``RGB``.
        is_stored: Whether the image is in this mode already, so that nothing is to be computed.
    """

    def __init__(self, image: Image.Image, *, white: float = WHITE_16_BIT, inverted: bool = False) -> None:
        self._image = image
        self._inverted = inverted
        self.size = image.size
        self._is_deep = image.mode.startswith("I") or image.mode == "F"
        self._levels = self._find_levels(white) if self._is_deep else (0.0, 0.0)
        self._is_veiled = not self._is_deep and image.has_transparency_data
        self.mode = "L" if self._is_deep or (image.mode in ("1", "L") and not self._is_veiled) else "RGB"
        self.is_stored = image.mode == self.mode and not self._is_veiled

    def release(self) -> None:
        """Let the image go; nothing can be had from here afterwards."""
        del self._image

    def whole(self) -> Image.Image:
        """All of it."""
        if self.is_stored:
            return self._image
        width, height = self.size
        canvas = Image.new(self.mode, self.size)
        for top, bottom in bands(height, width):
            canvas.paste(self.part(0, top, width, bottom), (0, top))
        return canvas

    def part(self, left: int, top: int, right: int, bottom: int) -> Image.Image:
        """A rectangle of it."""
        part = _crop(self._image, (left, top, right, bottom))
        if self.is_stored:
            return part
        if self._is_deep:
            grey = scale_levels(np.asarray(part), *self._levels)
            return Image.fromarray(255 - grey if self._inverted else grey)
        return _on_white(part) if self._is_veiled else part.convert(self.mode)

    def _find_levels(self, white: float) -> tuple[float, float]:
        """What becomes black, and what white."""
        if self._image.mode.startswith("I;16"):
            return 0.0, white
        width, height = self.size
        parts = (_crop(self._image, (0, top, width, bottom)) for top, bottom in bands(height, width))
        low, high = _finite_range(np.asarray(part) for part in parts)
        usual = 1.0 if self._image.mode == "F" else float(WHITE_16_BIT)
        return (0.0, usual) if low >= 0 and high <= usual else (low, high)


def bands(length: int, breadth: int) -> Iterator[tuple[int, int]]:
    """From where to where each band of a picture goes, along its side of ``length`` pixels."""
    step = max(1, BAND // max(1, breadth))
    # Image.crop asks Pillow's own limit, which belongs to the whole process and may be smaller than a band.
    if step * breadth > (Image.MAX_IMAGE_PIXELS or math.inf):
        step = max(1, length)
    for start in range(0, length, step):
        yield start, min(length, start + step)


def _crop(image: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    return image if box == (0, 0, *image.size) else image.crop(box)


def image_from_array(array: NDArray[Any]) -> Image.Image:
    """Take pixels that are already decoded.

    Args:
        array: uint8, uint16 (0 to 65535) or float (0 to 1), ``[H, W]`` or ``[H, W, C]`` with C of 1, 3 or 4 (alpha).

    Raises:
        UnsupportedImageError: Any other shape, type or range.
    """
    seen = f"is an array of shape {list(array.shape)} and type {array.dtype}"
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in (1, 3, 4) or array.size == 0:
        raise UnsupportedImageError(f"{seen}; pass [H, W], [H, W, 1], [H, W, 3] or [H, W, 4] with pixels in it")
    if array.dtype == np.uint16 or array.dtype == np.dtype(">u2"):
        high = float(WHITE_16_BIT)
    elif array.dtype.kind == "f":
        high = 1.0
        # Written so that NaN fails too.
        if not all(bool(np.all((strip >= 0) & (strip <= 1))) for strip in _strips(array)):
            raise UnsupportedImageError(f"{seen} with values outside of 0 to 1")
    elif array.dtype != np.uint8:
        raise UnsupportedImageError(f"{seen}; pass uint8, uint16 or floats from 0 to 1")
    levels = array if array.dtype == np.uint8 else scale_levels(array, 0.0, high)
    return Image.fromarray(np.ascontiguousarray(levels[:, :, 0] if levels.shape[2:] == (1,) else levels))


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode in ("La", "RGBa"):
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    elif image.mode not in ("LA", "RGBA"):
        image = image.convert("RGBA")
    alpha = image.getchannel("A")
    if alpha.getextrema()[0] == 255:  # nothing shows through, as in most screenshots
        return image.convert("RGB")
    canvas = Image.new("RGB", image.size, "white")
    canvas.paste(image, mask=alpha)
    return canvas


def _finite_range(parts: Iterable[NDArray[Any]]) -> tuple[float, float]:
    low, high = np.inf, -np.inf
    for part in parts:
        finite = part[np.isfinite(part)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    return (low, high) if low <= high else (0.0, 0.0)


def scale_levels(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Spread ``low`` to ``high`` over 0 to 255, rounded; NaN counts as low."""
    result = np.empty(values.shape, np.uint8)
    span = high - low if high > low else np.inf
    for strip, out in zip(_strips(values), _strips(result), strict=True):
        clean = np.clip(np.nan_to_num(strip.astype(np.float64), nan=low, posinf=high, neginf=low), low, high)
        out[...] = ((clean - low) * 255 / span + 0.5).astype(np.uint8)
    return result


def _strips(values: NDArray[Any]) -> Iterator[NDArray[Any]]:
    rows = max(1, BAND * values.shape[0] // max(1, values.size))
    for start in range(0, values.shape[0], rows):
        yield values[start : start + rows]
