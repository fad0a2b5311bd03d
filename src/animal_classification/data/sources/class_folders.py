"""Folders that say what is in them: one for each class, or one for each split with one for each class in it."""

from __future__ import annotations

from pathlib import Path

from animal_classification.data.sources.listing import (
    SPLIT_WORDS,
    FolderContent,
    ListedPhoto,
    Listing,
    files_in,
    subfolders,
    walk_photos,
)
from animal_classification.errors import UsageError
from animal_classification.imaging import is_photo_name


def list_folder(folder: Path) -> Listing:
    """Find out which of the two it is, and list it.

    Raises:
        UsageError: Neither.
        AnimalsError: A folder may not be listed.
    """
    inner = _innermost(folder)
    listing = list_splits(inner) if _has_splits(inner) else list_classes(inner)
    return listing.noting(f"read from {inner.relative_to(folder).as_posix()}/" if inner != folder else "")


def list_classes(folder: Path) -> Listing:
    """A folder for each class, with photos in it or below.

    Raises:
        UsageError: There is no class folder.
    """
    found = _classes(folder)
    loose = sum(is_photo_name(file) for file in files_in(folder))
    if not found:
        what = f"{loose} photos lie in it without a folder that names them" if loose else "it holds no folder"
        raise UsageError(f"{str(folder)!r} has no classes: {what}; wanted: {folder.name}/CLASS/photo.jpg, or a table")
    entries = [ListedPhoto(f"{name}/{photo}", name) for name, content in found.items() for photo in content.photos]
    if not entries:
        raise UsageError(f"no photos in {str(folder)!r}: its {len(found)} class folders are empty")
    return Listing(
        root=folder,
        entries=tuple(entries),
        empty_classes=tuple(name for name, content in found.items() if not content.photos),
        notes=_notes(found, loose),
    )


def list_splits(folder: Path) -> Listing:
    """A folder for each split (``train``, ``val``, ``test`` by any usual name), in it a folder for each class.

    Raises:
        UsageError: There are no splits, or no classes in them.
    """
    entries: list[ListedPhoto] = []
    notes: list[str] = []
    names: set[str] = set()
    for place in subfolders(folder):
        split = SPLIT_WORDS.get(place.name.casefold())
        if split is None:
            count = len(walk_photos(place).photos)
            notes.append(f"{place.name}/ is no split that is known here: its {count} photos are left out")
            continue
        found = _classes(place)
        names.update(found)
        notes += _notes(found, sum(is_photo_name(file) for file in files_in(place)))
        for name, content in found.items():
            entries += [ListedPhoto(f"{place.name}/{name}/{photo}", name, split) for photo in content.photos]
    if not entries:
        raise UsageError(f"no photos in {str(folder)!r}; wanted: {folder.name}/train/CLASS/photo.jpg")
    empty = names - {entry.label for entry in entries}
    return Listing(root=folder, entries=tuple(entries), empty_classes=tuple(sorted(empty)), notes=tuple(notes))


def _classes(folder: Path) -> dict[str, FolderContent]:
    return {place.name: walk_photos(place) for place in subfolders(folder)}


def _has_splits(folder: Path) -> bool:
    return any(place.name.casefold() in SPLIT_WORDS and subfolders(place) for place in subfolders(folder))


def _innermost(folder: Path) -> Path:
    """Archives often hold a single folder that holds the classes: go in as long as a folder holds nothing but one."""
    while True:
        inside = subfolders(folder)
        if len(inside) != 1 or any(is_photo_name(file) for file in files_in(folder)):
            return folder
        deeper = subfolders(inside[0])
        if not deeper or any(is_photo_name(file) for file in files_in(inside[0])):
            return folder
        if inside[0].name.casefold() in SPLIT_WORDS:
            return folder
        folder = inside[0]


def _notes(found: dict[str, FolderContent], loose: int) -> tuple[str, ...]:
    others = sum(content.others for content in found.values())
    notes = []
    if others:
        notes.append(f"{others} files are no photos by their names and were left out")
    if loose:
        notes.append(f"{loose} photos lie beside the class folders and were left out: nothing says what they show")
    return tuple(notes)
