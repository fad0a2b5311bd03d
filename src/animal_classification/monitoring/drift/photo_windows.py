"""Windows from photos on disk: a folder, single files, or a table of paths. No log is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from animal_classification.common.hashes import hash_of_file
from animal_classification.common.progress import Progress, silent
from animal_classification.data.discovery import PhotoPaths
from animal_classification.data.sources import Columns
from animal_classification.data.sources.columns import choose_columns
from animal_classification.data.tabular import TABLE_SUFFIXES, read_table
from animal_classification.errors import AnimalsError, UsageError
from animal_classification.monitoring.drift.judge import FEWEST_IN_WINDOW
from animal_classification.monitoring.drift.sample import DriftWindow
from animal_classification.monitoring.drift.sample_reader import SampleReader


@dataclass(frozen=True, slots=True)
class PhotoOnDisk:
    """A photo to look at.

    Attributes:
        name: As a person finds it again.
        file: Where it is.
        source: Camera or site: the folder that it is in below the one that was named, or a table's column.
    """

    name: str
    file: Path
    source: str


@dataclass(frozen=True)
class PhotoWindow:
    """Photos that were read, as a window.

    Attributes:
        window: All of them, in the order in which they were named, which counts as the order of time.
        files: Where each is, ``[N]``.
        errors: Why others could not be used, by name.
    """

    window: DriftWindow
    files: tuple[Path, ...]
    errors: dict[str, str]


def find_photos(words: Sequence[str]) -> list[PhotoOnDisk]:
    """The photos that words stand for: files, folders, patterns, or tables with a column for the path.

    Raises:
        UsageError: They stand for none.
    """
    tables = [word for word in words if word.lower().endswith(TABLE_SUFFIXES) and Path(word).is_file()]
    found = [photo for table in tables for photo in _in_table(Path(table))]
    rest = [word for word in words if word not in tables]
    if rest:
        walked = PhotoPaths(rest).walk()
        found += [PhotoOnDisk(one.name, Path(one.path), _folder(one.name)) for one in walked]
    if not found:
        raise UsageError(f"no photos in {', '.join(map(repr, words))}")
    return found


def read_window(reader: SampleReader, photos: Sequence[PhotoOnDisk], progress: Progress = silent) -> PhotoWindow:
    """Send photos through a model.

    Raises:
        AnimalsError: None of them can be read.
    """
    readings = reader.read([photo.file for photo in photos], progress=progress)
    errors = {photos[place].name: why for place, why in readings.errors.items()}
    if not len(readings):
        name, why = next(iter(errors.items()))
        raise AnimalsError(f"none of the {len(photos)} photos can be read; the first, {name}: {why}")
    good = [photos[place] for place in readings.positions.tolist()]
    window = DriftWindow(
        sample=readings.sample(),
        ids=tuple(photo.name for photo in good),
        time=np.zeros(len(good)),
        source=tuple(photo.source for photo in good),
        photo=tuple(hash_of_file(photo.file) for photo in good),
    )
    return PhotoWindow(window, tuple(photo.file for photo in good), errors)


def in_turn(window: DriftWindow, size: int) -> list[DriftWindow]:
    """Cut photos into windows, in order of time and after thinning, from the newest back.

    The oldest photos are left out where they are too few for a window.

    Args:
        window: All photos.
        size: Photos of a window.
    """
    ordered = window.take(np.argsort(window.time, kind="stable"))
    kept = np.flatnonzero(ordered.scene_starts())
    ends = list(range(len(kept), FEWEST_IN_WINDOW - 1, -size))[::-1] or [len(kept)]
    starts = [max(0, end - size) for end in ends]
    borders = [0, *(int(kept[start]) for start in starts[1:]), len(window)]
    return [
        replace(ordered.take(kept[start:end]), read=borders[place + 1] - borders[place])
        for place, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]


def _in_table(file: Path) -> list[PhotoOnDisk]:
    table = read_table(file)
    chosen = choose_columns(table, Columns(), label_needed=False)
    names = [(chosen.path_of(row), chosen.group_of(row) or "") for row in table.rows]
    return [PhotoOnDisk(name, file.parent / name, source) for name, source in names if name]


def _folder(name: str) -> str:
    parent = PurePosixPath(name).parent.as_posix()
    return "" if parent == "." else parent
