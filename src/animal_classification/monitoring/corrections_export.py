"""Corrections as a table to train with: ``labels.csv``, and beside it the photos that it names.

labels.csv            one row for each photo with feedback, columns as in ``corrections.COLUMNS``
labels.photos/ab….jpg the kept photos, by the hash of what was sent
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from animal_classification.common.atomic import write_bytes
from animal_classification.common.hashes import hash_file
from animal_classification.common.text_files import cannot_write
from animal_classification.errors import ImageError, OutputError, UsageError
from animal_classification.imaging.file_type import Format, identify
from animal_classification.prediction_log.corrections import (
    COLUMNS,
    NO_ANIMAL,
    Row,
    as_csv,
    cells,
    newest_of_each_photo,
    training_label,
)
from animal_classification.prediction_log.feedback import all_feedback

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from animal_classification.prediction_log.photo_store import PhotoStore

ENDINGS = {Format.JPEG: ".jpg", Format.TIFF: ".tif", Format.HEIF: ".heic", Format.DIB: ".bmp"}
WITHOUT_PHOTO = "have no photo: it is not kept (any more)"
NOT_FOUND = "have no photo of the same bytes in the folder"
EMPTY = "say that there is no animal; --with-empty exports them"
NO_CLASS = 'confirm only a group, "animal" or "unknown", or say "none of the labels"; none of these is a class'
EARLIER = "are about a photo on which a later word stands"


@dataclass
class ExportedCorrections:
    """What became of the feedback.

    Attributes:
        table: The file that was written.
        rows: Rows in it.
        labels: How many of each label.
        left_out: How many pieces of feedback are not in it, by reason.
    """

    table: Path
    rows: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)


def export(
    engine: Engine, photos: PhotoStore, table: Path, *, find_in: Path | None = None, with_empty: bool = False
) -> ExportedCorrections:
    """Write the table, and copy the photos beside it.

    Args:
        engine: The log's database.
        photos: Where photos are kept.
        table: The file to write; an earlier export is replaced.
        find_in: Look for the original photos in this folder, by their hash, and copy nothing.
        with_empty: Export photos without an animal, too, with the label "no animal".

    Raises:
        UsageError: ``table`` is some other file, or ``find_in`` is no folder.
        OutputError: A file cannot be written.
        LogDatabaseError: The database, or the place of the photos, cannot be used now.
    """
    _check(table, find_in)
    exported = ExportedCorrections(table)
    wanted = _with_a_label(all_feedback(engine), exported, with_empty=with_empty)
    hashes = {row["photo"] for row, _ in wanted}
    originals = _originals(find_in, hashes, table.parent) if find_in else {}
    lines = []
    for row, label in wanted:
        path = originals.get(row["photo"]) if find_in else _copied(photos, row["photo"], table)
        if path is None:
            exported.left_out[NOT_FOUND if find_in else WITHOUT_PHOTO] += 1
            continue
        exported.labels[label] += 1
        lines.append(cells(row, path, label))
    exported.rows = len(lines)
    _write(as_csv(lines).encode("utf-8", "replace"), table)
    return exported


def _check(table: Path, find_in: Path | None) -> None:
    if find_in is not None and not find_in.is_dir():
        raise UsageError(f"--find-in {str(find_in)!r} is no folder")
    if not table.name.lower().endswith(".csv"):
        raise UsageError(f"{str(table)!r}: the table of corrections is a .csv file; give it such a name")
    if not table.parent.is_dir():
        raise UsageError(f"{str(table.parent)!r} is no folder; make it first")
    if os.path.lexists(table) and not _is_ours(table):
        raise UsageError(f"{str(table)!r} is there and no export of corrections; delete it, or give another name")


def _is_ours(table: Path) -> bool:
    head = ",".join(COLUMNS).encode()
    try:
        with table.open("rb") as file:
            return file.readline(len(head) + 2).rstrip(b"\r\n") == head
    except OSError:
        return False


def _with_a_label(rows: Sequence[Row], exported: ExportedCorrections, *, with_empty: bool) -> list[tuple[Row, str]]:
    newest = newest_of_each_photo(rows)
    exported.left_out[EARLIER] += len(rows) - len(newest)
    found = []
    for row in newest:
        label = training_label(row)
        if label is None:
            exported.left_out[NO_CLASS] += 1
        elif label == NO_ANIMAL and not with_empty:
            exported.left_out[EMPTY] += 1
        else:
            found.append((row, label))
    return found


def _originals(folder: Path, wanted: set[str], start: Path) -> dict[str, str]:
    """Where the photos of these hashes lie, relative to ``start``; of several copies the first by name."""
    found: dict[str, str] = {}
    for path in _files(folder):
        if len(found) == len(wanted):
            break
        with suppress(OSError):
            digest = hash_file(path)
            if digest in wanted and digest not in found:
                found[digest] = _relative(path, start)
    return found


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(place) / name
            if path.is_file():
                yield path


def _relative(path: Path, start: Path) -> str:
    try:
        return Path(os.path.relpath(path.absolute(), start.absolute())).as_posix()
    except ValueError:  # on another drive of Windows
        return path.absolute().as_posix()


def _copied(photos: PhotoStore, photo: str, table: Path) -> str | None:
    """Copy a kept photo beside the table; returns its path relative to it, ``None`` where it is not kept."""
    data = photos.read(photo)
    if data is None:
        return None
    folder = table.with_name(f"{table.stem}.photos")
    target = folder / f"{photo}{photo_ending(data)}"
    if not target.exists():
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make {str(folder)!r}: {error.strerror or error}") from error
        _write(data, target, durable=False)  # of many, and they can be copied again
    return f"{folder.name}/{target.name}"


def photo_ending(data: bytes) -> str:
    """The ending of a file name for a photo of these bytes; empty where nobody knows what they are."""
    try:
        kind = identify(data)
    except ImageError:
        return ""
    return ENDINGS.get(kind, f".{kind.value.lower()}")


def _write(data: bytes, target: Path, *, durable: bool = True) -> None:
    try:
        write_bytes(data, target, durable=durable)
    except OSError as error:
        raise cannot_write(target, error) from error
