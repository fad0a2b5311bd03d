"""What an entry says of boxes, as JSON: carried to where the photo is looked at, without the file that it stood in."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from animal_classification.data.detections import Detection
from animal_classification.data.recognitions.entry import Corners, PixelDetection, RecognizedFile


def boxes_to_record(entry: RecognizedFile) -> dict[str, Any]:
    """All that ``Recognitions.boxes_of`` needs; numbers are kept to the last bit."""
    return {
        "boxes": None if entry.boxes is None else [asdict(box) for box in entry.boxes],
        "pixel_boxes": [asdict(box) for box in entry.pixel_boxes],
        "size": entry.size,
    }


def boxes_from_record(name: str, record: dict[str, Any]) -> RecognizedFile:
    """The inverse of ``boxes_to_record``.

    Raises:
        KeyError: It is no such record.
        TypeError: Likewise.
    """
    boxes, size = record["boxes"], record["size"]
    pixels = ({**box, "corners": Corners(*box["corners"])} for box in record["pixel_boxes"])
    return RecognizedFile(
        name=name,
        boxes=None if boxes is None else tuple(Detection(**box) for box in boxes),
        pixel_boxes=tuple(PixelDetection(**box) for box in pixels),
        size=None if size is None else (size[0], size[1]),
    )
