"""What ``animals predict`` itself writes as JSON: rows with a list of detections in each."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from animal_classification.common.reading_budget import ReadingBudget
from animal_classification.data.recognitions.boxes import BoxCounter, WrittenBox
from animal_classification.data.recognitions.categories import category_of
from animal_classification.data.recognitions.document import parse_json, read_bytes
from animal_classification.data.recognitions.entry import RecognizedFile
from animal_classification.data.recognitions.recognitions import Recognitions, last_of_each
from animal_classification.data.recognitions.values import Object, as_frame, as_number, as_text, objects

_BOX = ("x", "y", "width", "height")


def is_own(document: object) -> bool:
    """Whether a document is a list of rows with detections."""
    return isinstance(document, list) and any(
        isinstance(item, dict) and "path" in item and "detections" in item for item in document
    )


def read_lines(file: Path) -> object:
    """The objects of a file that has one in each line.

    Raises:
        UsageError: A line is no JSON.
        AnimalsError: It cannot be read.
    """
    lines, budget = read_bytes(file).splitlines(), ReadingBudget(repr(str(file)))
    return [
        parse_json(line, f"{file}, line {number}", budget) for number, line in enumerate(lines, start=1) if line.strip()
    ]


def read_own(document: object, where: str) -> Recognitions:
    """Read a table of ours.

    Raises:
        UsageError: A box has a category that is not known.
    """
    boxes = BoxCounter()
    rows = objects(document, where)
    entries, notes = last_of_each(_entries(rows, where, boxes))
    detectors = {as_text(box.get("detector")) for row in rows for box in _detections(row)} - {""}
    return Recognitions(
        where=where,
        dialect="a table of animals",
        detector=", ".join(sorted(detectors)),
        entries=entries,
        notes=(*notes, *boxes.notes()),
    )


def _entries(rows: Iterable[Object], where: str, boxes: BoxCounter) -> Iterable[RecognizedFile]:
    for row in rows:
        name = as_text(row.get("path"))
        if name:
            found = [_box(item, f"{where}: a box of {name!r}") for item in _detections(row)]
            kept = boxes.found(box for box in found if box is not None)
            failed = as_text(row.get("error"))
            yield RecognizedFile(
                name=name,
                boxes=None if failed else kept,
                blank=not kept and not failed,
                failure=failed,
                time=as_text(row.get("time")),
                deployment=as_text(row.get("deployment")),
            )


def _box(item: Object, where: str) -> WrittenBox | None:
    category = category_of(as_text(item.get("category")) or "?", where)
    if category is None:
        return None
    numbers = tuple(number for name in _BOX if (number := as_number(item.get(name))) is not None)
    score = as_number(item.get("confidence"))
    return WrittenBox(
        category=category,
        confidence=-1.0 if score is None else score,
        numbers=numbers if len(numbers) == len(_BOX) else None,
        frame=as_frame(item.get("frame")),
        label=as_text(item.get("label")),
        label_probability=as_number(item.get("probability")),
    )


def _detections(row: Object) -> list[Object]:
    found = row.get("detections")
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
