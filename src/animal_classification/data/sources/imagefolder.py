"""Hugging Face's ``imagefolder``: photos, and a ``metadata`` table beside them that says what they show."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from animal_classification.data.sources.columns import ColumnChoice, choose_columns
from animal_classification.data.sources.listing import (
    SPLIT_WORDS,
    Columns,
    ListedPhoto,
    Listing,
    subfolders,
    walk_photos,
)
from animal_classification.data.tabular import Table, read_table
from animal_classification.errors import UsageError

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


def has_metadata(folder: Path) -> bool:
    """Whether a folder is one of these."""
    return bool(_tables(folder))


def list_imagefolder(folder: Path, columns: Columns | None = None) -> Listing:
    """List the photos that the metadata name, with the split that their folder is called after.

    Raises:
        UsageError: There are no metadata, or no labels in them and no folders that could give them.
    """
    found = [_chosen(table, columns or Columns()) for table in _tables(folder)]
    if not found:
        raise UsageError(f"{str(folder)!r} has no {' or '.join(METADATA)}")
    entries = [entry for file, chosen in found for entry in _entries(folder, file, chosen)]
    named = {entry.path for entry in entries}
    extra = sum(photo not in named for photo in walk_photos(folder).photos)
    gone = sum(not (folder / entry.path).exists() for entry in entries)
    return Listing(root=folder, entries=tuple(entries)).noting(
        *(chosen.note() for _, chosen in found),
        f"{extra} photos are not in the metadata and were left out" if extra else "",
        f"{gone} of {len(entries)} photos in the metadata are not there" if gone else "",
    )


def _tables(folder: Path) -> list[Path]:
    places = [folder, *(place for place in subfolders(folder) if place.name.casefold() in SPLIT_WORDS)]
    # Of several formats beside each other the first is enough: they say the same.
    return [
        tables[0] for place in places if (tables := [place / name for name in METADATA if (place / name).is_file()])
    ]


def _chosen(file: Path, columns: Columns) -> tuple[Path, ColumnChoice]:
    table = read_table(file)
    names = [name for name in table.columns if name == "file_name" or name.endswith("_file_name")]
    return file, choose_columns(table, columns, path=names[0] if names else None, label_needed=False)


def _entries(root: Path, file: Path, chosen: ColumnChoice) -> Iterator[ListedPhoto]:
    prefix = PurePosixPath(*file.parent.relative_to(root).parts)
    for row in chosen.table.rows:
        name = PurePosixPath(chosen.path_of(row))
        inferred = SPLIT_WORDS.get((prefix / name).parts[0].casefold()) if (prefix / name).parts else None
        label = chosen.label_of(row) if chosen.label is not None else _folder_label(chosen.table, name)
        split = inferred if chosen.split is None else chosen.split_of(row)
        yield ListedPhoto(str(prefix / name), label, split, chosen.group_of(row))


def _folder_label(table: Table, name: PurePosixPath) -> str:
    """Without a label in the metadata the folder names the class.

    Raises:
        UsageError: There is no such folder either.
    """
    if len(name.parts) < 2:
        choose_columns(table, Columns())  # says which columns there are
    return name.parts[-2]
