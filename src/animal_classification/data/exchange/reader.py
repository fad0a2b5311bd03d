"""Labels from whatever a labelling tool wrote."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from animal_classification.common.suggest import nearest_file
from animal_classification.data.exchange import cvat, fiftyone, label_studio
from animal_classification.data.exchange.imported import ImportedLabel, PhotosBeside, hash_in, label_in, moment
from animal_classification.data.recognitions.document import read_bytes, read_json
from animal_classification.data.tabular import Table, read_table
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
        return cvat.read_xml(read_bytes(place, cvat.MOST_XML), place)
    if suffix == ".csv":
        return _from_table(read_table(place), place)
    raise UsageError(f"{str(place)!r} is of no kind that is read here: .json, .zip, .xml, .csv, or a folder")


def _from_json(place: Path) -> list[ImportedLabel]:
    content = read_json(place)
    if isinstance(content, list):
        return label_studio.read(content, place)
    if isinstance(content, Mapping):
        return fiftyone.read(content, place)
    raise UsageError(f"{str(place)!r} is neither an export of Label Studio nor a labels.json of FiftyOne")


def _from_table(table: Table, place: Path) -> list[ImportedLabel]:
    """The rows with a hash and a label; of the columns with names that would do, the first that holds hashes."""
    columns = {name: number for number, name in reversed(list(enumerate(table.columns)))}
    hashes = next((columns[name] for name in _HASHES if name in columns and _holds_hashes(table, columns[name])), None)
    label = next((columns[name] for name in _LABELS if name in columns), None)
    if hashes is None or label is None:
        raise UsageError(
            f"{str(place)!r} needs a column with hashes ({', '.join(_HASHES[:3])}) and one with labels "
            f"({', '.join(_LABELS)}){table.names_near(())}"
        )
    who, time, photos = columns.get("who"), columns.get("time"), PhotosBeside(place.parent)
    return [
        ImportedLabel(
            sha256=sha256,
            label=label_in(row[label]),
            who="" if who is None else row[who],
            time=None if time is None else moment(row[time]),
            file=photos.find(sha256),
        )
        for row in table.rows
        if (sha256 := hash_in(row[hashes])) and row[label].strip()
    ]


def _holds_hashes(table: Table, column: int) -> bool:
    return any(hash_in(row[column]) for row in table.rows)
