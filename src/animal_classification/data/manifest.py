"""The manifest: one typed row for each labelled photo, beside the folder that the paths start from."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestRow:
    """One photo.

    Attributes:
        path: Relative to the manifest's root, with forward slashes.
        label: Name of its class; empty only together with a ``problem``.
        split: ``train``, ``val``, ``test``, or ``None`` where nothing has been decided.
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
        notes: What a person should know about how the source was read, a line each; not stored.
    """

    rows: tuple[ManifestRow, ...]
    root: Path
    empty_classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

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
        from animal_classification.data.manifest_file import read_manifest

        return read_manifest(Path(path), None if root is None else Path(root))

    def write(self, path: str | Path) -> None:
        """Write the manifest as Parquet; a file of that name is replaced in one step.

        Raises:
            OutputError: The system refuses.
        """
        from animal_classification.data.manifest_file import write_manifest

        write_manifest(self, Path(path))

    def __iter__(self) -> Iterator[ManifestRow]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def file(self, record: ManifestRow) -> Path:
        """Where a photo is."""
        return self.root / record.path

    def with_rows(self, rows: Iterable[ManifestRow]) -> Manifest:
        """The same source with other rows."""
        return Manifest.of(rows, self.root, empty_classes=self.empty_classes, notes=self.notes)

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
