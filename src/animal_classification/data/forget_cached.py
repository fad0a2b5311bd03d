"""Takes single photos out of the cache folder: what scans found, embeddings, and decoded photos."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path

from animal_classification.data.cache_folder import default_directory
from animal_classification.errors import AnimalsError

# The databases of `scan_cache` and `embedding_cache`, of any format, and their tables.
_TABLES = {"scan-*.sqlite": ("files", "pictures"), "embeddings-*.sqlite": ("embeddings",)}


def forget_cached(photos: Collection[str], cache: Path | None = None) -> None:
    """Delete what is cached of photos.

    Decoded photos lie together in large files, all of which go: they are made again where they are needed.

    Args:
        photos: SHA-256 of each file, in hex.
        cache: The cache folder; the user's own by default.

    Raises:
        AnimalsError: Something cannot be deleted.
    """
    folder = cache or default_directory()
    try:
        for pattern, tables in _TABLES.items():
            for file in folder.glob(pattern):
                _delete(file, tables, photos)
        for file in (folder / "pixels").glob("*.npy"):
            file.unlink(missing_ok=True)
    except (OSError, sqlite3.Error) as error:
        raise AnimalsError(f"{str(folder)!r}: cached photos cannot be deleted ({error}); delete this folder") from error


def _delete(file: Path, tables: tuple[str, ...], photos: Collection[str]) -> None:
    with closing(sqlite3.connect(file, timeout=10)) as database:
        database.execute("PRAGMA secure_delete = ON")  # else the rows would still be readable in the file
        with database:
            for table in tables:
                database.executemany(f"DELETE FROM {table} WHERE sha256 = ?", [(photo,) for photo in photos])  # noqa: S608 - fixed names
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
