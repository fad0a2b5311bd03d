"""Fifteen changes that cameras, weather and networks make to photos: for measuring how a model bears them.

After the corruptions of ImageNet-C (Hendrycks and Dietterich 2019), reduced to what happens to a camera in use. Each
works on the pixels that a model sees, uint8 ``[H, W, 3]``, and gives the same result for the same photo.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Pixels = NDArray[np.uint8]
_GREY = 114  # around what is turned or far away


@dataclass(frozen=True)
class Corruption:
    """A change of photos.

    Attributes:
        name: For a table and for scripts.
        says: What happened, for people.
        apply: Changes one photo; the result has the same shape.
    """

    name: str
    says: str
    apply: Callable[[Pixels], Pixels]


def scaled(pixels: Pixels, factor: float) -> Pixels:
    """Luminosity times a factor: exposure."""
    return _clipped(pixels.astype(np.float32) * factor)


def night(pixels: Pixels) -> Pixels:
    """A flash in infra-red: no colour, half the contrast, a dark border, grain."""
    grey = pixels.astype(np.float32).mean(axis=2)
    height, width = grey.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    lit = 0.75 * grey * np.clip(1.1 - 0.6 * (x * x + y * y), 0.1, 1.0)
    return _clipped(np.repeat((lit + _noise(pixels, (height, width)) * 8.0)[..., None], 3, axis=2))


def blurred(pixels: Pixels, radius: float) -> Pixels:
    """Out of focus, or moved."""
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))


def dirty_lens(pixels: Pixels) -> Pixels:
    """Three translucent smears, always in the same places, and a veil over all."""
    height, width = pixels.shape[:2]
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    cover = np.zeros((height, width))
    for across, down, size in ((0.3, 0.35, 0.12), (0.7, 0.6, 0.15), (0.45, 0.85, 0.1)):
        cover = np.maximum(cover, np.exp(-((x - across) ** 2 + (y - down) ** 2) / (2 * size * size)))
    soft = np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(2)), dtype=np.float32)
    smeared = cover[..., None]
    seen = pixels * (1 - smeared) + (0.5 * soft + 65.0) * smeared
    return _clipped(0.85 * seen + 20.0)


def foggy(pixels: Pixels) -> Pixels:
    """Half of the light comes from fog."""
    return _clipped(pixels.astype(np.float32) * 0.5 + 100.0)


def noisy(pixels: Pixels, deviation: float) -> Pixels:
    """Noise of a sensor in little light."""
    return _clipped(pixels + _noise(pixels, pixels.shape) * deviation)


def as_jpeg(pixels: Pixels, quality: int) -> Pixels:
    """Saved by a camera that saves space."""
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream).convert("RGB"))


def turned(pixels: Pixels, degrees: float) -> Pixels:
    """The camera hangs askew."""
    if degrees % 90 == 0 and pixels.shape[0] == pixels.shape[1]:
        return np.ascontiguousarray(np.rot90(pixels, int(degrees) // 90))
    image = Image.fromarray(pixels)
    return np.asarray(image.rotate(degrees, Image.Resampling.BILINEAR, fillcolor=(_GREY,) * 3))


def far(pixels: Pixels, share: float) -> Pixels:
    """The same picture on a part of each side, in the middle of grey."""
    height, width = pixels.shape[:2]
    size = max(1, round(width * share)), max(1, round(height * share))
    canvas = Image.new("RGB", (width, height), (_GREY,) * 3)
    small = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
    canvas.paste(small, ((width - size[0]) // 2, (height - size[1]) // 2))
    return np.asarray(canvas)


def _clipped(values: NDArray[Any]) -> Pixels:
    result: Pixels = np.clip(values, 0, 255).astype(np.uint8)
    return result


def _noise(pixels: Pixels, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Of deviation one, the same for the same photo and other for another."""
    seed = int(pixels[::16, ::16].astype(np.int64).sum()) * 2654435761 % 2**32
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


_ALL = (
    Corruption("dark", "half as bright", partial(scaled, factor=0.5)),
    Corruption("very-dark", "a fifth as bright", partial(scaled, factor=0.22)),
    Corruption("bright", "overexposed", partial(scaled, factor=1.7)),
    Corruption("night", "infra-red at night", night),
    Corruption("blur", "a little out of focus", partial(blurred, radius=1.5)),
    Corruption("strong-blur", "out of focus", partial(blurred, radius=4.0)),
    Corruption("lens", "a dirty lens", dirty_lens),
    Corruption("fog", "fog", foggy),
    Corruption("noise", "a noisy sensor", partial(noisy, deviation=25.0)),
    Corruption("jpeg30", "JPEG of quality 30", partial(as_jpeg, quality=30)),
    Corruption("jpeg10", "JPEG of quality 10", partial(as_jpeg, quality=10)),
    Corruption("askew", "turned by 15 degrees", partial(turned, degrees=15)),
    Corruption("sideways", "turned by 90 degrees", partial(turned, degrees=90)),
    Corruption("far", "half the size", partial(far, share=0.5)),
    Corruption("very-far", "a third of the size", partial(far, share=0.3)),
)
CORRUPTIONS: Mapping[str, Corruption] = MappingProxyType({one.name: one for one in _ALL})
