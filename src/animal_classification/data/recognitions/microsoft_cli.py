"""The list that Microsoft's command line of MegaDetector writes: names of categories, corners in pixels, no sizes.

It holds boxes from 0.2 on only, which no reader can undo.
"""

from __future__ import annotations

from animal_classification.data.recognitions.boxes import BoxCounter, WrittenBox
from animal_classification.data.recognitions.categories import category_of
from animal_classification.data.recognitions.entry import RecognizedFile
from animal_classification.data.recognitions.recognitions import Recognitions, last_of_each
from animal_classification.data.recognitions.values import Object, as_number, as_text, numbers, objects
from animal_classification.errors import UsageError


def is_microsoft_cli(document: object) -> bool:
    """Whether a document has this structure."""
    return isinstance(document, list) and any(
        isinstance(item, dict) and "file" in item and "detections" in item for item in document
    )


def read_microsoft_cli(document: object, where: str) -> Recognitions:
    """Read a document.

    Raises:
        UsageError: It is not what the format says, or has a category that is not known.
    """
    boxes = BoxCounter()
    listed = objects(document, where)
    entries, notes = last_of_each(_entry(item, where, boxes) for item in listed)
    return Recognitions(
        where=where,
        dialect="MegaDetector (Microsoft's command line, boxes in pixels)",
        typical_threshold=0.2,
        entries=entries,
        notes=(*notes, *boxes.notes()),
    )


def _entry(item: Object, where: str, boxes: BoxCounter) -> RecognizedFile:
    name = as_text(item.get("file"))
    if not name:
        raise UsageError(f"{where}: an entry has no file; its keys are {', '.join(map(repr, item))}")
    written = [
        box
        for found in objects(item.get("detections"), f"{where}: detections of {name!r}")
        if (box := _box(found, f"{where}: a box of {name!r}")) is not None
    ]
    return RecognizedFile(name=name, boxes=(), pixel_boxes=boxes.in_pixels(written), blank=not written)


def _box(found: Object, where: str) -> WrittenBox | None:
    category = category_of(as_text(found.get("category")) or "?", where)
    if category is None:
        return None
    score = as_number(found.get("confidence"))
    return WrittenBox(
        category=category,
        confidence=-1.0 if score is None else score,
        numbers=numbers(found.get("bbox"), 4),
        layout="xyxy",
        pixels=True,
    )
