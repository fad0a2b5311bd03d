"""The manifest: one typed row for each labelled photo, in memory and as Parquet whose metadata says where they are."""

# Imported where they are used: DuckDB takes 60 ms to load, and most manifests are never on disk.

from __future__ import annotations

import hashlib
import json
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

from animal_classification.common.atomic import new_file
from animal_classification.common.text_files import refuse_foreign
from animal_classification.data import duckdb_parquet
from animal_classification.errors import OutputError, UsageError

FRESH = "fresh"
SPLITS = ("train", "val", "test", FRESH)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestRow:
    """One photo.

    Attributes:
        path: Relative to the manifest's root, with forward slashes.
        label: Name of its class; empty only together with a ``problem``.
        split: ``train``, ``val``, ``test``, ``fresh`` (labelled in a loop and kept out of training), or ``None`` where
            nothing has been decided.
        group: What must not be divided between splits: a site, a sequence, an individual.
        sha256: Of the file's bytes; ``None`` where they could not be read.
        width: Of the upright photo, in pixels.
        height: Of the upright photo, in pixels.
        bytes: Size of the file.
        problem: Why the photo cannot be used; ``None`` for a good one.
    """

    path: str
    label: str
    split: str | None = None
    group: str | None = None
    sha256: str | None = None
    width: int | None = None
    height: int | None = None
    bytes: int | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Manifest:
    """Labelled photos, in the order of their paths.

    Attributes:
        rows: Every photo that the source names, those with a ``problem`` included.
        root: The folder that the paths are relative to.
        empty_classes: Classes that the source names without a photo.
        notes: Remarks on how the source was read, a line each; not stored.
        crops: Whether the photos are animals cut out of larger ones.
    """

    rows: tuple[ManifestRow, ...]
    root: Path
    empty_classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    crops: bool = False

    @classmethod
    def of(
        cls, rows: Iterable[ManifestRow], root: Path, *, empty_classes: Iterable[str] = (), notes: Iterable[str] = ()
    ) -> Manifest:
        """Put rows into order."""
        return cls(tuple(sorted(rows, key=lambda row: row.path)), root, tuple(sorted(empty_classes)), tuple(notes))

    @classmethod
    def read(cls, path: str | Path, *, root: str | Path | None = None) -> Manifest:
        """Read a manifest from Parquet.

        Args:
            path: The file.
            root: Where the photos are, if they have been moved apart from the manifest.

        Raises:
            UsageError: There is no such file, or it is no manifest.
        """
        return read_manifest(Path(path), None if root is None else Path(root))

    def write(self, path: str | Path, *, place: Path | None = None) -> None:
        """Write the manifest as Parquet; a file of that name is replaced in one step.

        Args:
            path: The file.
            place: The folder in which it will lie, if it is moved there afterwards.

        Raises:
            OutputError: The system refuses.
        """
        write_manifest(self, Path(path), place)

    def __iter__(self) -> Iterator[ManifestRow]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def file(self, record: ManifestRow) -> Path:
        """Where a photo is."""
        return self.root / record.path

    def with_rows(self, rows: Iterable[ManifestRow]) -> Manifest:
        """The same source with other rows."""
        return replace(self, rows=Manifest.of(rows, self.root).rows)

    @cached_property
    def usable(self) -> tuple[ManifestRow, ...]:
        """The photos without a problem."""
        return tuple(row for row in self.rows if row.problem is None)

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Names of all classes that have a row, sorted."""
        return tuple(sorted({row.label for row in self.rows if row.label}))

    @cached_property
    def version(self) -> str:
        """Sixteen hex digits that stand for the content: bytes, labels, splits and groups.

        Independent of the order of the rows, of the files' names, and of where the folder lies.
        """
        lines = sorted(json.dumps(_content(row), ensure_ascii=True) for row in self.rows)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]

    def counts(self) -> dict[str, Counter[str]]:
        """Usable photos by class and split; ``""`` counts those without a split."""
        table: dict[str, Counter[str]] = {name: Counter() for name in self.classes}
        for row in self.usable:
            table[row.label][row.split or ""] += 1
        return table


def _content(row: ManifestRow) -> list[str | bool | None]:
    name = None if row.sha256 else row.path  # bytes that cannot be read have nothing else to be known by
    group = None if row.group is None else unicodedata.normalize("NFC", row.group)
    return [row.sha256, name, unicodedata.normalize("NFC", row.label), row.split, group, row.problem is None]


def write_manifest(manifest: Manifest, target: Path, place: Path | None = None) -> None:
    """Write a manifest as Parquet, whole or not at all; ``place`` is the folder that it will lie in, if another.

    Raises:
        OutputError: The system refuses.
    """
    import duckdb

    about = json.dumps(_about(manifest, (place or target.parent).absolute()))
    refuse_foreign_manifest(target)
    try:
        with new_file(target) as temporary:
            duckdb_parquet.write_table(temporary, (asdict(row) for row in manifest), TYPES, about)
    except (OSError, duckdb.Error) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error).splitlines()[0]
        raise OutputError(f"cannot write {str(target)!r}: {why}") from error


def refuse_foreign_manifest(target: Path) -> None:
    """Refuse to write a manifest in place of a file that is none, such as the table of labels that it is made from.

    Raises:
        UsageError: It is there.
        OutputError: It is a folder, or cannot be read.
    """
    if target.is_dir():
        raise OutputError(f"cannot write {str(target)!r}: it is a folder; name a file such as manifest.parquet")
    hint = "give another --output, such as manifest.parquet"
    refuse_foreign(
        target,
        lambda content: content.startswith(b"PAR1") and duckdb_parquet.is_about(target, '"root"'),
        "manifest",
        hint,
    )


def read_manifest(path: Path, root: Path | None) -> Manifest:
    """Read a manifest, and find its photos.

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
    manifest = Manifest.of(rows, found, empty_classes=about.get("empty_classes", ()))
    return replace(manifest, crops=about.get("crops", False))


def is_manifest(path: Path) -> bool:
    """Whether a Parquet file is a manifest."""
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
        **({"crops": True} if manifest.crops else {}),
    }


def _find_root(folder: Path, about: dict[str, str], rows: list[ManifestRow]) -> Path:
    """Relative to the manifest first: the two may have been moved or copied together."""
    candidates = [folder / about["root_from_here"]] if about.get("root_from_here") else []
    candidates.append(Path(about["root"] or "."))
    for candidate in candidates:
        if not rows or any((candidate / row.path).exists() for row in (rows[0], rows[-1])):
            return Path(os.path.normpath(candidate))
    return candidates[-1]
