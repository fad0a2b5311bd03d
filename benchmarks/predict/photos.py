"""Folders of as many photos as wanted, made of hard links to those that are there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

from animal_classification.errors import UsageError

ENDINGS = {".jpg", ".jpeg", ".png", ".webp"}


def list_photos(folder: Path) -> list[Path]:
    """Return the photos in ``folder`` and below.

    Raises:
        UsageError: There are none.
    """
    photos = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS and path.is_file())
    if not photos:
        raise UsageError(f"no photos in {folder}: give a folder of JPEGs")
    return photos


def fill(folder: Path, photos: Sequence[Path], count: int) -> Path:
    """Make ``folder`` with ``count`` differently named files, ``photos`` again and again; no file is a symbolic link.

    Where a photo cannot be linked to (another disk, say), it is copied once and the copy linked to.
    """
    folder.mkdir(parents=True)
    origin = {photo: photo for photo in photos}
    for number, photo in enumerate(islice(cycle(photos), count)):
        target = folder / f"{number:06d}_{photo.name}"
        try:
            os.link(origin[photo], target)
        except OSError:
            shutil.copyfile(photo, target)
            origin[photo] = target
    return folder


def read_all(photos: Sequence[Path]) -> int:
    """Bring the photos into the file cache; return their bytes."""
    return sum(len(photo.read_bytes()) for photo in photos)
