"""FiftyOne: its image classification data set, a folder ``data`` and ``labels.json`` with classes and positions."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from animal_classification.data.exchange.imported import ImportedLabel, PhotosBeside, hash_in, label_in
from animal_classification.data.manifest import ManifestRow
from animal_classification.errors import UsageError

LABELS = "labels.json"


def write(folder: Path, photos: Sequence[tuple[ManifestRow, str]], labels: Sequence[str]) -> None:
    """Write ``labels.json``; the photos are in ``data``, called by their hashes."""
    place = {label: index for index, label in enumerate(labels)}
    content = {"classes": list(labels), "labels": {Path(name).stem: place[row.label] for row, name in photos}}
    (folder / LABELS).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read(content: Mapping[str, Any], where: Path) -> list[ImportedLabel]:
    """The labels in ``labels.json``; photos without one are left out.

    Raises:
        UsageError: A label has no class.
    """
    classes, labels = content.get("classes"), content.get("labels")
    if not isinstance(labels, Mapping):
        raise UsageError(f"{str(where)!r} is no labels.json of FiftyOne: it has no mapping 'labels'")
    photos = PhotosBeside(where.parent)
    found = []
    for stem, value in labels.items():
        sha256 = hash_in(str(stem))
        if sha256 is not None and value is not None:
            label = _label(value, classes, where)
            found.append(ImportedLabel(sha256=sha256, label=label, file=photos.find(sha256)))
    return found


def _label(value: object, classes: object, where: Path) -> str:
    number = value if isinstance(value, int) and not isinstance(value, bool) else -1
    if isinstance(classes, list) and 0 <= number < len(classes):
        value = classes[number]
    label = label_in(value)
    if not label:
        raise UsageError(f"{str(where)!r}: the label {reprlib.repr(value)} is none of its classes")
    return label
