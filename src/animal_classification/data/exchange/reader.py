"""Labels from whatever a labelling tool wrote."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path

from animal_classification.common.suggest import nearest_file
from animal_classification.common.text_files import read_text
from animal_classification.data.exchange import cvat, fiftyone, label_studio
from animal_classification.data.exchange.imported import ImportedLabel, hash_in, moment, photo_beside
from animal_classification.errors import UsageError

_HASHES = ("sha256", "photo", "file_name", "path", "file", "image")
_LABELS = ("label", "animal", "class")


def read_labels(place: Path) -> list[ImportedLabel]:
    """Read labels.

    Args:
        place: Label Studio's JSON or JSON-MIN, FiftyOne's folder or its ``labels.json``, CVAT's zip or XML, an image
            folder with ``metadata.csv``, or a .csv with a column for the hash (or a file named by it) and one for the
            label.

    Raises:
        UsageError: It is none of these, or holds no label.
    """
    found = _read(place)
    if not found:
        raise UsageError(f"{str(place)!r} holds no label of a photo that is named by its SHA-256")
    return found


def _read(place: Path) -> list[ImportedLabel]:
    if not place.exists():
        raise UsageError(f"no such file or folder: {str(place)!r}{nearest_file(place)}")
    if place.is_dir():
        for name in (fiftyone.LABELS, "metadata.csv", cvat.ANNOTATIONS, label_studio.TASKS):
            if (place / name).is_file():
                return _read(place / name)
        raise UsageError(f"{str(place)!r} holds no {fiftyone.LABELS}, metadata.csv or {cvat.ANNOTATIONS}")
    suffix = place.suffix.lower()
    if suffix == ".json":
        return _from_json(place)
    if suffix == ".zip":
        return cvat.read_zip(place)
    if suffix == ".xml":
        return cvat.read_xml(place.read_bytes(), place)
    if suffix == ".csv":
        return _from_table(read_text(place), place)
    raise UsageError(f"{str(place)!r} is of no kind that is read here: .json, .zip, .xml, .csv, or a folder")


def _from_json(place: Path) -> list[ImportedLabel]:
    try:
        content = json.loads(read_text(place))
    except ValueError as error:
        raise UsageError(f"{str(place)!r} is no JSON: {error}") from error
    if isinstance(content, list):
        return label_studio.read(content, place)
    if isinstance(content, Mapping):
        return fiftyone.read(content, place)
    raise UsageError(f"{str(place)!r} is neither an export of Label Studio nor a labels.json of FiftyOne")


def _from_table(text: str, place: Path) -> list[ImportedLabel]:
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    head = list(rows[0]) if rows else []
    named = next((name for name in _HASHES if name in head and any(hash_in(row[name] or "") for row in rows)), None)
    label = next((name for name in _LABELS if name in head), None)
    if named is None or label is None:
        raise UsageError(
            f"{str(place)!r} needs a column with hashes ({', '.join(_HASHES[:3])}) and one with labels "
            f"({', '.join(_LABELS)}); it has {', '.join(head) or 'none'}"
        )
    return [
        ImportedLabel(
            sha256=sha256,
            label=row[label].strip(),
            who=row.get("who") or "",
            time=moment(row.get("time")),
            file=photo_beside(place.parent, sha256),
        )
        for row in rows
        if (sha256 := hash_in(row[named] or "")) and (row[label] or "").strip()
    ]
