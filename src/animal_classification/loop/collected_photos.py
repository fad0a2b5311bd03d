"""Where a loop has a photo: in the folders of its cycles, and in the manifests that name it.

A photo may have two hashes here: that of the bytes that were sent, by which the log knows it and its copy is called,
and that of the copy, which a server may have made smaller.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from animal_classification.common.hashes import hash_of_file
from animal_classification.data.manifest import Manifest, ManifestRow
from animal_classification.loop.collection import CONFLICTS, FOLDER, LABELS, MANIFEST, PHOTOS, UNKNOWN
from animal_classification.loop.ledger import cycle_number
from animal_classification.loop.series import all_series


@dataclass(frozen=True)
class PhotoTraces:
    """What a loop has of some photos.

    Attributes:
        photos: Those of which it has anything, by the log's hash.
        rows: Files of the rows that name them, with the manifests that have the rows.
        splits: For each cycle the splits in which its manifest has them.
        own: Files of these photos that the loop did not bring: the operator's data.
    """

    photos: set[str] = field(default_factory=set)
    rows: dict[Path, set[str]] = field(default_factory=dict)
    splits: dict[str, set[str]] = field(default_factory=dict)
    own: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class CollectedPhotos:
    """The photos of one loop.

    Attributes:
        manifests: All that it goes by: those of its series, and those of its cycles.
        folders: What its cycles have collected.
        leftovers: Folders of collections during which a process was killed.
    """

    manifests: tuple[Path, ...]
    folders: tuple[Path, ...]
    leftovers: tuple[Path, ...] = ()

    @classmethod
    def of(cls, home: Path, model: str) -> CollectedPhotos:
        """Those of the loop in this folder."""
        series = all_series(home)
        roots = {one.base().root for one in series}
        found = sorted(folder for root in roots for folder in (root / FOLDER).glob("*") if folder.is_dir())
        folders = [folder for folder in found if cycle_number(model, folder.name) is not None]
        left = [folder for folder in found if cycle_number(model, folder.name[1:].partition(".")[0]) is not None]
        files = (*(file for one in series for file in one.files), *(folder / MANIFEST for folder in folders))
        return cls(files, tuple(folders), tuple(folder for folder in left if folder.name.startswith(".")))

    def of_prediction(self, identity: str) -> str | None:
        """The photo of a prediction whose label was collected; ``None`` where there is none."""
        lines = (label_in(line) for folder in self.folders for line in label_lines(folder / LABELS))
        return next((str(one.get("photo")) for one in lines if one.get("prediction") == identity), None)

    def hashes_of(self, photos: Collection[str]) -> dict[str, str]:
        """All hashes that these photos have here, and for each that by which the log knows the photo."""
        found = {photo: photo for photo in photos}
        for photo, copy in (pair for folder in self.folders for pair in hashes_in(folder)):
            if photo in photos or copy in photos:
                found |= {photo: photo, copy: photo}
        return found

    def traces(self, hashes: Mapping[str, str]) -> PhotoTraces:
        """What there is of photos, all of whose hashes are given."""
        found = PhotoTraces()
        for path in self.manifests:
            manifest = Manifest.read(path)
            for row in manifest:
                names = names_of(row) & hashes.keys()
                if names:
                    found.photos.update(hashes[name] for name in names)
                    found.rows.setdefault(path, set()).add(str(manifest.file(row)))
                    if path.parent in self.folders:
                        found.splits.setdefault(path.parent.name, set()).add(str(row.split))
                    if not is_collected(row):
                        found.own.add(str(manifest.file(row)))
        for folder in self.folders:
            found.photos.update(hashes[file.stem] for file in copies_in(folder, hashes))
            found.photos.update(hashes[photo] for photo in disputed_in(folder) & hashes.keys())
        return found


def names_of(row: ManifestRow) -> set[str]:
    """The hashes by which a photo of a manifest may be asked for."""
    return {str(row.sha256), *([Path(row.path).stem] if is_collected(row) else [])}


def is_collected(row: ManifestRow) -> bool:
    """A loop brought this photo."""
    return row.path.startswith(f"{FOLDER}/")


def copies_in(folder: Path, hashes: Collection[str]) -> Iterator[Path]:
    """The copies of these photos in a cycle's folder."""
    for part in (PHOTOS, UNKNOWN):
        yield from (file for file in sorted((folder / part).glob("*")) if file.stem in hashes)


def hashes_in(folder: Path) -> Iterator[tuple[str, str]]:
    """The log's hash of each photo that a cycle has collected, and that of its copy."""
    for line in label_lines(folder / LABELS):
        found = label_in(line)
        yield str(found.get("photo")), str(found.get("sha256"))
    for file in (folder / UNKNOWN).glob("*"):
        yield file.stem, hash_of_file(file)


def disputed_in(folder: Path) -> set[str]:
    """The photos of which people said different things."""
    try:
        with (folder / CONFLICTS).open(encoding="utf-8", newline="") as stream:
            return {row[0] for row in csv.reader(stream) if row}
    except FileNotFoundError:
        return set()


def label_lines(file: Path) -> list[str]:
    """The lines of a cycle's ``labels.jsonl``; none where it is not there."""
    try:
        return file.read_text(encoding="utf-8").splitlines(keepends=True)
    except FileNotFoundError:
        return []


def label_in(line: str) -> dict[str, Any]:
    """What a line of ``labels.jsonl`` says; nothing where somebody has made it unreadable."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def cycle_has(folder: Path, photos: Iterable[str]) -> bool:
    """A cycle's folder has one of these photos, as far as can be told from the folder alone."""
    wanted = set(photos)
    return (
        next(copies_in(folder, wanted), None) is not None
        or bool(disputed_in(folder) & wanted)
        or any(set(pair) & wanted for pair in hashes_in(folder))
    )
