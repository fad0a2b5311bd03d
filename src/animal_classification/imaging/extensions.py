"""Which files in a folder are worth opening; what they really are is decided by their content."""

from __future__ import annotations

import os
from pathlib import PurePath

# fmt: off
PHOTO_SUFFIXES = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".avif", ".heic", ".heif", ".hif",
    ".gif", ".bmp", ".dib", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm",
})
# fmt: on


def is_photo_name(path: str | os.PathLike[str]) -> bool:
    """Whether a name ends like a photo and is not hidden.

    Example:
        >>> is_photo_name("deer/IMG_0001.JPG"), is_photo_name("._IMG_0001.JPG"), is_photo_name("notes.txt")
        (True, False, False)
    """
    name = PurePath(path).name
    return not name.startswith(".") and PurePath(name).suffix.lower() in PHOTO_SUFFIXES
