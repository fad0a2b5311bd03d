"""COCO and COCO Camera Traps: one document with images, annotations and categories; boxes in pixels or relative.

Source: "Data format" of COCO, and "COCO Camera Traps" of the MegaDetector project (category 0 is an empty picture;
``location``, ``datetime`` and ``seq_id`` stand with each image). A category is what the box shows, not a detector's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from animal_classification.data.recognitions.boxes import BoxCounter, WrittenBox
from animal_classification.data.recognitions.categories import NOTHING, named_category
from animal_classification.data.recognitions.entry import RecognizedFile
from animal_classification.data.recognitions.recognitions import Recognitions, last_of_each
from animal_classification.data.recognitions.values import Object, as_number, as_size, as_text, numbers, objects
from animal_classification.errors import UsageError


def is_coco(document: Object) -> bool:
    """Whether a document has this structure."""
    return isinstance(document.get("images"), list) and "annotations" in document


def read_coco(document: Object, where: str) -> Recognitions:
    """Read a document.

    Raises:
        UsageError: It is not what the format says.
    """
    reading = _CocoReading(document, where)
    entries, notes = last_of_each(map(reading.entry, objects(document.get("images"), f"{where}: images")))
    return Recognitions(
        where=where,
        dialect="COCO Camera Traps" if any(entry.location or entry.sequence for entry in entries) else "COCO",
        entries=entries,
        notes=(*notes, *reading.boxes.notes(), *reading.loose()),
    )


class _CocoReading:
    """One document, with its annotations by image."""

    def __init__(self, document: Object, where: str) -> None:
        self._where = where
        self._labels = {
            as_text(item.get("id")): as_text(item.get("name"))
            for item in objects(document.get("categories"), f"{where}: categories")
        }
        self._of: dict[str, list[Object]] = defaultdict(list)
        for item in objects(document.get("annotations"), f"{where}: annotations"):
            self._of[as_text(item.get("image_id"))].append(item)
        self._images = {as_text(item.get("id")) for item in objects(document.get("images"), f"{where}: images")}
        self.boxes = BoxCounter()

    def loose(self) -> tuple[str, ...]:
        """A note about annotations of images that are not there."""
        count = sum(len(items) for image, items in self._of.items() if image not in self._images)
        return (f"{count:,} annotations are of images that it does not list",) if count else ()

    def entry(self, image: Object) -> RecognizedFile:
        """One picture.

        Raises:
            UsageError: It has no name, or an annotation has a category that the document does not name.
        """
        name = as_text(image.get("file_name"))
        if not name:
            raise UsageError(f"{self._where}: an image has no file_name; its keys are {', '.join(map(repr, image))}")
        size = as_size(image.get("width"), image.get("height"))
        shown = [(self._label(item, name), item) for item in self._of[as_text(image.get("id"))]]
        animals = [(label, item) for label, item in shown if label.casefold() not in NOTHING]
        written = [_box(label, item) for label, item in animals if _has_box(item)]
        unknown_size = size is None and any(box.pixels for box in written)
        boxes = () if unknown_size else self.boxes.found(written, size)
        return RecognizedFile(
            name=name,
            boxes=None if animals and not written else boxes,
            pixel_boxes=self.boxes.in_pixels(written) if unknown_size else (),
            label=_only(label for label, _ in animals),
            blank=not animals,
            time=as_text(image.get("datetime")) or as_text(image.get("date_captured")),
            location=as_text(image.get("location")),
            sequence=as_text(image.get("seq_id")),
            size=size,
        )

    def _label(self, item: Object, name: str) -> str:
        number = as_text(item.get("category_id"))
        if number not in self._labels:
            raise UsageError(
                f"{self._where}: an annotation of {name!r} has the category {number!r}, which categories does not name"
            )
        return self._labels[number]


def _only(labels: Iterable[str]) -> str:
    """The label of a picture that shows one kind; empty where it shows several."""
    names = set(labels)
    return names.pop() if len(names) == 1 else ""


def _has_box(item: Object) -> bool:
    return item.get("bbox") is not None or item.get("bbox_relative") is not None


def _box(label: str, item: Object) -> WrittenBox:
    relative = item.get("bbox") is None
    category = named_category(label)
    return WrittenBox(
        category=category or "animal",
        confidence=as_number(item.get("score")),
        numbers=numbers(item.get("bbox_relative") if relative else item.get("bbox"), 4),
        pixels=not relative,
        label="" if category else label,
    )
