"""From whatever names some labelled photos to a manifest."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from animal_classification.common.suggest import nearest_file
from animal_classification.data.cache_folder import default_directory
from animal_classification.data.manifest import Manifest, ManifestRow, is_manifest
from animal_classification.data.scanner import Facts, scan
from animal_classification.data.sources import class_folders, remote
from animal_classification.data.sources.animal_mnist import is_animal_mnist, list_animal_mnist
from animal_classification.data.sources.archives import is_archive_name, unpack
from animal_classification.data.sources.imagefolder import has_metadata, list_imagefolder
from animal_classification.data.sources.kaggle import fetch_kaggle, is_kaggle
from animal_classification.data.sources.listing import ListedPhoto, Listing, SourceOptions, files_in, subfolders
from animal_classification.data.sources.path_tables import list_table
from animal_classification.data.sources.recognized import FIELD_KINDS, list_recognized
from animal_classification.data.tabular import TABLE_SUFFIXES
from animal_classification.errors import UsageError

KINDS = (
    *("auto", "classes", "splits", "table", "imagefolder", "archive", "manifest", "animal-mnist", "kaggle"),
    *FIELD_KINDS,
)
_FIELD_NAMES = ", ".join(FIELD_KINDS)
_DEFAULTS = SourceOptions()


def read_source(reference: str | Path, options: SourceOptions = _DEFAULTS) -> Manifest:
    """Find labelled photos, look at every one of them, and describe them in a manifest.

    Args:
        reference: A folder, a table, an archive, a manifest, a URL of one of these, ``animal-mnist``, or
            ``kaggle:OWNER/NAME``.
        options: How to read it.

    Returns:
        A row for every photo; those that cannot be used have a ``problem``.

    Raises:
        UsageError: There is nothing of that name, or no labelled photos in it.
        AnimalsError: It cannot be fetched or read.
    """
    if options.kind not in KINDS:
        raise UsageError(f"no such kind of source: {options.kind!r}; one of {', '.join(KINDS)}")
    if (options.boxes or options.blanks) and options.kind not in (*FIELD_KINDS, "manifest"):
        raise UsageError(f"boxes and blanks are for files of other programs: say which with kind ({_FIELD_NAMES})")
    cache = options.cache or default_directory()
    text = str(reference)
    if is_animal_mnist(text, options.kind):
        return _scanned(list_animal_mnist(cache), options)
    if options.kind == "kaggle" or is_kaggle(text):
        return _scanned(_list_folder(fetch_kaggle(text), "auto", options), options)
    place = remote.fetch(text, cache) if remote.is_url(text) else Path(reference).expanduser()
    if not place.exists():
        raise UsageError(f"no such file or folder: {text!r}{nearest_file(place)}")
    if place.is_file() and _is_manifest(place, options.kind):
        return _checked(Manifest.read(place, root=options.root), text, options)
    return _scanned(_list(place, text, options, cache), options)


def _list(place: Path, text: str, options: SourceOptions, cache: Path) -> Listing:
    if options.kind in FIELD_KINDS:
        return list_recognized(place, options, photos=_photos_of(place, text, options, cache), cache=cache)
    from_elsewhere = remote.is_url(text)
    if place.is_file() and (options.kind == "archive" or is_archive_name(place.name)):
        place, from_elsewhere = unpack(place, cache, where=text), True
        kind = "auto" if options.kind == "archive" else options.kind
    else:
        kind = options.kind
    if place.is_dir():
        listing = _list_folder(place, kind, options)
    elif kind == "table" or place.name.lower().endswith(TABLE_SUFFIXES):
        listing = list_table(place, root=options.root, columns=options.columns)
    else:
        raise UsageError(
            f"{text!r} is a file of no kind that is read here; wanted: a folder, an archive such as .zip, "
            f"or a table ({', '.join(TABLE_SUFFIXES)}); a file of another program needs its kind ({_FIELD_NAMES})"
        )
    return listing.confined(options.root or place, text) if from_elsewhere and place.is_dir() else listing


def _photos_of(place: Path, text: str, options: SourceOptions, cache: Path) -> Path:
    """Where the photos are that a package, or a file of another program, is about."""
    if options.root or place.is_dir():
        return options.root or place
    return unpack(place, cache, where=text) if is_archive_name(place.name) else place.parent


def _list_folder(folder: Path, kind: str, options: SourceOptions) -> Listing:
    if kind == "classes":
        return class_folders.list_classes(folder)
    if kind == "splits":
        return class_folders.list_splits(folder)
    if kind == "imagefolder" or (kind == "auto" and has_metadata(folder)):
        return list_imagefolder(folder, options.columns)
    tables = [file for file in files_in(folder) if file.name.lower().endswith(TABLE_SUFFIXES)]
    # Photos beside a single table, as camera-trap exports come: the table says what they show.
    if kind == "table" or (kind == "auto" and len(tables) == 1 and not subfolders(folder)):
        if len(tables) != 1:
            raise UsageError(f"{str(folder)!r} holds {len(tables)} tables; name the one that you mean")
        return list_table(tables[0], root=options.root, columns=options.columns).noting(f"read from {tables[0].name}")
    return class_folders.list_folder(folder)


def _scanned(listing: Listing, options: SourceOptions) -> Manifest:
    entries = _without_repetition(listing.entries)
    facts = scan(
        [listing.root / entry.path for entry in entries],
        cache=options.cache,
        workers=options.workers,
        progress=options.progress,
        embedder=options.embedder,
    )
    rows = [_record(entry, fact) for entry, fact in zip(entries, facts, strict=True)]
    more = len(listing.entries) - len(entries)
    repeated = (f"{more} rows repeat another and were left out",) if more else ()
    notes = (*listing.notes, *repeated)
    manifest = Manifest.of(rows, listing.root, empty_classes=listing.empty_classes, notes=notes)
    return replace(manifest, crops=listing.crops)


def _without_repetition(entries: Sequence[ListedPhoto]) -> list[ListedPhoto]:
    return list(dict.fromkeys(entries))


def _record(entry: ListedPhoto, facts: Facts) -> ManifestRow:
    path, problem = entry.path, facts.problem
    if any("\ud800" <= character <= "\udfff" for character in path + entry.label):
        path, problem = _escaped(path), "has a name that is not UTF-8; rename it"
    label = unicodedata.normalize("NFC", _escaped(entry.label)).strip()
    if not label and problem is None:
        problem = "has no label"
    return ManifestRow(
        path=path,
        label=label,
        split=entry.split,
        group=entry.group,
        sha256=facts.sha256,
        width=facts.width,
        height=facts.height,
        bytes=facts.bytes,
        problem=problem,
    )


def _escaped(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _is_manifest(place: Path, kind: str) -> bool:
    return kind == "manifest" or (kind == "auto" and place.suffix.lower() == ".parquet" and is_manifest(place))


def _checked(manifest: Manifest, text: str, options: SourceOptions) -> Manifest:
    """A manifest is a promise about bytes: refuse photos that have changed since.

    Raises:
        UsageError: Photos are gone or have changed.
    """
    rows = manifest.usable
    files = [manifest.file(row) for row in rows]
    facts = scan(
        files,
        cache=options.cache,
        workers=options.workers,
        progress=options.progress,
        embedder=options.embedder,
    )
    gone = [row.path for row, fact in zip(rows, facts, strict=True) if fact.sha256 is None]
    if gone:
        raise UsageError(
            f"{text!r}: {len(gone)} of {len(rows)} photos are not to be found below {str(manifest.root)!r}; "
            f"first: {gone[0]!r}; say with --root where they are now"
        )
    changed = [row.path for row, fact in zip(rows, facts, strict=True) if fact.sha256 != row.sha256]
    if changed:
        raise UsageError(
            f"{text!r}: {len(changed)} photos have changed since it was written; first: {changed[0]!r}; write it again"
        )
    return manifest
