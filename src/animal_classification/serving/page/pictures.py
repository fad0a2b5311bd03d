"""Photos as a page shows them: upright, small, inside the HTML, so that nothing is kept on disk."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image

from animal_classification import imaging
from animal_classification.errors import ImageError
from animal_classification.imaging.geometry import crop_box

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from animal_classification.imaging import Limits, PreprocessSpec

FULL = 1280
THUMBNAIL = 360
EXAMPLE = 240
_QUALITY = 85


@dataclass(frozen=True, slots=True)
class Picture:
    """A photo to show.

    Attributes:
        url: A data URL.
        width: In pixels.
        height: In pixels.
    """

    url: str
    width: int
    height: int


def picture(data: bytes, side: int, limits: Limits) -> Picture | None:
    """Shrink a photo so that neither side is longer than ``side``; ``None`` where it cannot be read."""
    try:
        shown = imaging.thumbnail(data, side, limits=limits)
    except ImageError:
        return None
    return Picture(jpeg_url(shown), *shown.size)


def jpeg_url(shown: Image.Image | NDArray[np.uint8]) -> str:
    """A picture as a data URL."""
    buffer = BytesIO()
    (shown if isinstance(shown, Image.Image) else Image.fromarray(shown)).save(buffer, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def seen_part(shown: Picture, spec: PreprocessSpec) -> Sequence[float]:
    """Left, top, width and height, in percent, of the part of a photo that the model sees."""
    left, top, right, bottom = crop_box(shown.width, shown.height, spec)
    return (
        100 * left / shown.width,
        100 * top / shown.height,
        100 * (right - left) / shown.width,
        100 * (bottom - top) / shown.height,
    )
