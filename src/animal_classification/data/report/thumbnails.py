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


def thumbnail(file: Path) -> str | None:
    """A data URL, or ``None`` where there is no picture to be seen."""
    try:
        picture = Image.fromarray(imaging.decode(file, min_side=SIDE))
    except ImageError:
        return None
    picture.thumbnail((SIDE, SIDE))
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode('ascii')}"
