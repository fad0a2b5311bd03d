"""The pictures of a page, as data URLs: thumbnails, and whether two of them show the same."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image

from animal_classification import imaging
from animal_classification.errors import ImageError

# A grey square with a line through it: shown where a photo is not at hand. HTML needs to escape none of it.
NO_PICTURE = (
    "data:image/svg+xml,%3Csvg xmlns=%27http://www.w3.org/2000/svg%27 width=%2796%27 height=%2796%27%3E%3Cpath "
    "fill=%27%23d5d9e0%27 d=%27M0 0h96v96H0z%27/%3E%3Cpath stroke=%27%23fff%27 stroke-width=%273%27 "
    "d=%27M0 96 96 0%27/%3E%3C/svg%3E"
)
_JPEG = "data:image/jpeg;base64,"
_QUALITY = 75
# Mean difference of grey levels: decoders and heatmaps of other engines differ by less than two, other photos by tens.
_ALIKE = 6.0


def thumbnail(file: Path, side: int) -> str | None:
    """A data URL of a picture of at most ``side`` pixels, or ``None`` where the file shows nothing."""
    try:
        return data_url(imaging.thumbnail(file, side, limits=imaging.Limits.of_container()))
    except ImageError:
        return None


def data_url(picture: Image.Image) -> str:
    """A picture as a JPEG inside a URL."""
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=_QUALITY)
    return f"{_JPEG}{base64.b64encode(data.getvalue()).decode('ascii')}"


def decoded(address: str) -> Image.Image | None:
    """The JPEG in a data URL, RGB; ``None`` where it is no such URL, or holds anything else."""
    if not address.startswith(_JPEG):
        return None
    try:
        data = base64.b64decode(address.removeprefix(_JPEG), validate=True)
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as picture:
            return picture.convert("RGB")
    except (ValueError, OSError, Image.DecompressionBombError):
        return None


def alike(first: Image.Image, second: Image.Image) -> bool:
    """Whether two pictures show the same, but for what decoders and engines round."""
    if first.size != second.size:
        return False
    mine, other = (np.asarray(one, dtype=np.int16) for one in (first, second))
    return float(np.abs(mine - other).mean()) <= _ALIKE
