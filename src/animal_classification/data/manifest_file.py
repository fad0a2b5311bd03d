"""A manifest on disk: Parquet whose metadata says where the photos are."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from dataclasses import asdict
from pathlib import Path

from animal_classification.data import duckdb_parquet
from animal_classification.data.manifest import SPLITS, Manifest, ManifestRow
from animal_classification.errors import OutputError, UsageError

TYPES = {
    "path": "VARCHAR",
    "label": "VARCHAR",
    "split": "VARCHAR",
    "group": "VARCHAR",
    "sha256": "VARCHAR",
    "width": "INTEGER",
    "height": "INTEGER",
    "bytes": "BIGINT",
    "problem": "VARCHAR",
}


def write_manifest(manifest: Manifest, target: Path) -> None:
    """Write beside the target, then rename.

    Raises:
        OutputError: The system refuses.
    """
    import duckdb

    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    about = json.dumps(_about(manifest, target.absolute().parent))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            raise OutputError(f"cannot write {str(target)!r}: it is a folder; name a file such as manifest.parquet")
        duckdb_parquet.write_table(temporary, (asdict(row) for row in manifest), TYPES, about)
        temporary.replace(target)
    except (OSError, duckdb.Error) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error).splitlines()[0]
        raise OutputError(f"cannot write {str(target)!r}: {why}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def read_manifest(path: Path, root: Path | None) -> Manifest:
    """Read one back, and find its photos.

    Raises:
        UsageError: There is no such file, it is no manifest, or its photos are nowhere to be found.
    """
    import duckdb

    if not path.is_file():
        raise UsageError(f"no such manifest: {str(path)!r}")
    try:
        columns, values = duckdb_parquet.read_table(path)
        text = duckdb_parquet.read_about(path)
    except duckdb.Error as error:
        raise UsageError(f"{str(path)!r} is not Parquet ({str(error).splitlines()[0]})") from error
    if list(TYPES) != columns or text is None:
        raise UsageError(f"{str(path)!r} is no manifest: it has the columns {', '.join(columns)}")
    about = json.loads(text)
    rows = [ManifestRow(**dict(zip(columns, row, strict=True))) for row in values]
    for row in rows:
        if row.split is not None and row.split not in SPLITS:
            raise UsageError(f"{str(path)!r}: the split {row.split!r} is none of {', '.join(SPLITS)}")
    found = root if root is not None else _find_root(path.absolute().parent, about, rows)
    return Manifest.of(rows, found, empty_classes=about.get("empty_classes", ()))


def is_manifest(path: Path) -> bool:
    """Whether a Parquet file was written here."""
    import duckdb

    try:
        return duckdb_parquet.read_about(path) is not None
    except duckdb.Error:
        return False


def _about(manifest: Manifest, folder: Path) -> dict[str, object]:
    root = manifest.root.absolute()
    try:
        relative = Path(os.path.relpath(root, folder)).as_posix()
    except ValueError:  # another drive on Windows
        relative = None
    return {
        "format": 1,
        "root": str(root),
        "root_from_here": relative,
        "version": manifest.version,
        "empty_classes": list(manifest.empty_classes),
    }


def _find_root(folder: Path, about: dict[str, str], rows: list[ManifestRow]) -> Path:
    """Relative to the manifest first: the two may have been moved or copied together."""
    candidates = [folder / about["root_from_here"]] if about.get("root_from_here") else []
    candidates.append(Path(about["root"] or "."))
    for candidate in candidates:
        if not rows or any((candidate / row.path).exists() for row in (rows[0], rows[-1])):
            return Path(os.path.normpath(candidate))
    return candidates[-1]
