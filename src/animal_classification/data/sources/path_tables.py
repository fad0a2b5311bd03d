"""A table of paths and labels, wherever the photos lie."""

from __future__ import annotations

import os
from pathlib import Path

from animal_classification.data.sources.columns import choose_columns
from animal_classification.data.sources.listing import Columns, ListedPhoto, Listing
from animal_classification.data.tabular import Table, read_table
from animal_classification.errors import UsageError


def list_table(file: Path, *, root: Path | None = None, columns: Columns | None = None) -> Listing:
    """List what a table names.

    Args:
        file: CSV, TSV, Excel workbook, JSON lines or Parquet with a column for the path, one for the label, and perhaps
            split and group.
        root: Where relative paths start; the table's folder by default.
        columns: Names of the columns, where they are not the usual ones.

    Raises:
        UsageError: A column is missing, or not one of the photos is there.
    """
    table = read_table(file)
    chosen = choose_columns(table, columns or Columns())
    start = root or file.parent
    entries = [
        ListedPhoto(_relative(path, start), chosen.label_of(row), chosen.split_of(row), chosen.group_of(row))
        for row in table.rows
        if (path := chosen.path_of(row))
    ]
    without_path = len(table.rows) - len(entries)
    unlabelled = sum(not entry.label for entry in entries)
    listing = Listing(root=start, entries=tuple(entries)).noting(
        chosen.note(),
        f"{without_path} rows name no photo and were left out" if without_path else "",
        f"{unlabelled} of {len(entries)} rows have no label" if unlabelled else "",
    )
    return listing.noting(_missing(listing, table))


def _missing(listing: Listing, table: Table) -> str:
    """A note about photos that are not there.

    Raises:
        UsageError: None of them is: the paths start somewhere else.
    """
    missing = [entry.path for entry in listing.entries if not os.path.exists(listing.root / entry.path)]  # noqa: PTH110
    if not missing:
        return ""
    count = f"{len(missing)} of {len(listing.entries)}"
    if len(missing) == len(listing.entries):
        raise UsageError(
            f"{table.where}: none of its {len(missing)} paths is there below {str(listing.root)!r}; "
            f"first: {missing[0]!r}; say with --root where they start"
        )
    return f"{count} paths are not there; first: {missing[0]!r}"


def _relative(text: str, root: Path) -> str:
    cleaned = text.strip()
    if "\\" in cleaned and "/" not in cleaned:
        cleaned = cleaned.replace("\\", "/")
    path = Path(cleaned)
    if path.is_absolute():
        path = Path(os.path.relpath(path, root.absolute()))
    return Path(os.path.normpath(path)).as_posix()
