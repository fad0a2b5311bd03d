"""Every pixel layout that Pillow knows, to 8-bit grey or RGB."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from animal_classification.errors import UnsupportedImageError

WHITE_16_BIT = 65535
_STRIP = 1 << 20  # values converted at a time: keeps float copies of a 100-megapixel picture out of memory


def flatten(image: Image.Image, *, white: float = WHITE_16_BIT, inverted: bool = False) -> Image.Image:
    """Bring a loaded image of any mode to mode ``L`` or ``RGB``, transparency composited on white.

    Args:
        image: Loaded; it is not changed.
        white: The 16-bit grey level that means white; 12-bit TIFF uses 4095.
        inverted: Whether 16-bit grey counts from white down to black.
    """
    if image.mode.startswith("I") or image.mode == "F":
        grey = _grey_levels(np.asarray(image), white)
        return Image.fromarray(255 - grey if inverted else grey)
    if image.has_transparency_data:
        return _on_white(image)
    if image.mode in ("L", "RGB"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


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


def _grey_levels(values: NDArray[Any], white: float) -> NDArray[np.uint8]:
    if values.dtype.itemsize == 2:
        return scale_levels(values, 0.0, white)
    low, high = _finite_range(values)
    usual = 1.0 if values.dtype.kind == "f" else float(WHITE_16_BIT)
    return scale_levels(values, 0.0, usual) if low >= 0 and high <= usual else scale_levels(values, low, high)


def _finite_range(values: NDArray[Any]) -> tuple[float, float]:
    low, high = np.inf, -np.inf
    for strip in _strips(values):
        finite = strip[np.isfinite(strip)]
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
    rows = max(1, _STRIP * values.shape[0] // max(1, values.size))
    for start in range(0, values.shape[0], rows):
        yield values[start : start + rows]
