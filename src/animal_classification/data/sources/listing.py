"""What a source says before any photo has been opened."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from animal_classification.common.progress import Progress, silent
from animal_classification.data.embedding_cache import Embedder
from animal_classification.errors import AnimalsError, UsageError
from animal_classification.imaging import is_photo_name
from animal_classification.imaging.folder_identity import FolderId, folder_id

LOOP_MARK = "collected-by-animals-loop.txt"  # in the folder with photos that people labelled in use
SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True, slots=True)
class ListedPhoto:
    """A photo as the source names it: where, what, and perhaps in which split and group."""

    path: str
    label: str
    split: str | None = None
    group: str | None = None


@dataclass(frozen=True, kw_only=True)
class Listing:
    """All photos of a source.

    Attributes:
        root: The folder that the paths are relative to.
        entries: The photos.
        empty_classes: Classes without any.
        notes: What was left out and why, a line each.
        crops: Whether the photos are animals cut out of larger ones.
    """

    root: Path
    entries: tuple[ListedPhoto, ...]
    empty_classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    crops: bool = False

    def noting(self, *notes: str) -> Listing:
        """The same with further notes."""
        return replace(self, notes=(*self.notes, *(note for note in notes if note)))

    def confined(self, folder: Path, where: str) -> Listing:
        """Refuse a table from elsewhere whose paths lead out of what came with it.

        Raises:
            AnimalsError: One does.
        """
        inside = folder.resolve()
        for entry in self.entries:
            if not (self.root / entry.path).resolve().is_relative_to(inside):
                raise AnimalsError(f"{where}: it names {entry.path!r}, which is outside of it; nothing was read")
        return self


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """How a table is read, where not as usual.

    Attributes:
        path: Name of the column.
        label: Likewise.
        split: Likewise; ``none`` where no column is to be taken for it.
        group: Likewise.
        missing: Words that mean an empty cell, joined by commas, in the place of NA, N/A, NaN and null; ``none`` where
            only an empty cell is empty.
    """

    path: str | None = None
    label: str | None = None
    split: str | None = None
    group: str | None = None
    missing: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceOptions:
    """How to read a source.

    Attributes:
        kind: One of ``KINDS``, or ``auto``.
        root: Folder that a table's paths start from; the table's own by default.
        columns: Names of a table's columns.
        cache: Folder for what is fetched and remembered; the user's own by default.
        workers: Threads for scanning.
        progress: Told about every file scanned.
        embedder: Gets the pixels of every file scanned.
        boxes: A file of another program with boxes, for a source that has only labels.
        blanks: Whether pictures without anything are a class of their own.
    """

    kind: str = "auto"
    root: Path | None = None
    columns: Columns = field(default_factory=Columns)
    cache: Path | None = None
    workers: int | None = None
    progress: Progress = silent
    embedder: Embedder | None = None
    boxes: Path | None = None
    blanks: bool = False


@dataclass(slots=True)
class FolderContent:
    """The photos below one folder, relative to it, and how many other files there are."""

    photos: list[str]
    others: int = 0


def walk_photos(folder: Path) -> FolderContent:
    """All photos below a folder, sorted; what is hidden is skipped, and links that go round end.

    Raises:
        AnimalsError: A folder may not be listed.
    """
    content = FolderContent([])
    seen: set[FolderId] = set()
    for place, folders, names in os.walk(folder, followlinks=True, onerror=_refuse):
        identity = folder_id(place)
        if identity in seen:
            folders.clear()
            continue
        seen.add(identity)
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        prefix = PurePosixPath(*Path(place).relative_to(folder).parts)
        for name in names:
            if is_photo_name(name):
                content.photos.append(str(prefix / name))
            elif not is_hidden(name):
                content.others += 1
    content.photos.sort()
    return content


def subfolders(folder: Path) -> list[Path]:
    """Visible folders directly in a folder, sorted; what a loop collected beside the classes is none of them.

    Raises:
        AnimalsError: The folder may not be listed.
    """
    return [entry for entry in _entries(folder) if entry.is_dir() and not (entry / LOOP_MARK).is_file()]


def files_in(folder: Path) -> Iterator[Path]:
    """Visible files directly in a folder, sorted.

    Raises:
        AnimalsError: The folder may not be listed.
    """
    return (entry for entry in _entries(folder) if entry.is_file())


def is_hidden(name: str) -> bool:
    """Whether nobody means a file or folder of that name."""
    return name.startswith(".") or name == "__MACOSX"


def split_name(word: str, where: str) -> str | None:
    """The split that a table's cell means; ``None`` for an empty one.

    Raises:
        UsageError: No split is called so.
    """
    cleaned = word.strip().casefold()
    if not cleaned:
        return None
    if cleaned not in SPLIT_WORDS:
        raise UsageError(
            f"{where}: the split {word!r} is none of {', '.join(SPLIT_WORDS)}; if the column holds something else: "
            "--split-column none"
        )
    return SPLIT_WORDS[cleaned]


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if not is_hidden(entry.name))
    except OSError as error:
        _refuse(error)
        raise AssertionError from error


def _refuse(error: OSError) -> None:
    raise AnimalsError(
        f"cannot read the folder {error.filename!r} ({error.strerror}): its photos would be missing"
    ) from error
