"""Small pictures that live inside the page."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image

from animal_classification import imaging
from animal_classification.errors import ImageError

SIDE = 132
_QUALITY = 75


def thumbnail(file: Path, side: int = SIDE) -> str | None:
    """A data URL of a picture of at most ``side`` pixels, or ``None`` where there is nothing to be seen."""
    try:
        return data_url(imaging.thumbnail(file, side, limits=imaging.Limits.of_container()))
    except ImageError:
        return None


def data_url(picture: Image.Image) -> str:
    """A picture as a JPEG inside a URL."""
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode('ascii')}"
