"""MegaDetector's batch format 1.0 to 1.6, and animl's variant of it.

Source: "MegaDetector output format" (docs/output_format of the MegaDetector project) and animl-py's ``to_json``. Real
files break it in ways that are read here: ``format_version`` is a number, a text or absent, ``info`` is empty,
``frame_number`` is a text, a picture that failed has ``null`` detections.
"""

from __future__ import annotations

from collections.abc import Mapping

from animal_classification.data.recognitions.boxes import BoxCounter, WrittenBox
from animal_classification.data.recognitions.categories import USUAL, category_of
from animal_classification.data.recognitions.entry import RecognizedFile
from animal_classification.data.recognitions.recognitions import Recognitions, last_of_each
from animal_classification.data.recognitions.values import (
    Object,
    as_frame,
    as_number,
    as_object,
    as_text,
    numbers,
    objects,
)
from animal_classification.errors import UsageError

_ANIML = "3"


def is_megadetector(document: Object) -> bool:
    """Whether a document has this structure."""
    images = document.get("images")
    if not isinstance(images, list):
        return False
    return "detection_categories" in document or any(isinstance(image, dict) and "file" in image for image in images)


def read_megadetector(document: Object, where: str) -> Recognitions:
    """Read a document.

    Raises:
        UsageError: It is not what the format says, or has a category that is not known.
    """
    info = as_object(document.get("info"))
    about = as_object(info.get("detector_metadata"))
    reading = _MegaDetectorReading(document, where)
    entries, notes = last_of_each(map(reading.entry, objects(document.get("images"), f"{where}: images")))
    return Recognitions(
        where=where,
        dialect=_dialect(info),
        detector=as_text(info.get("detector")).removesuffix(".pt"),
        detector_version=as_text(about.get("megadetector_version")),
        typical_threshold=as_number(about.get("typical_detection_threshold")),
        entries=entries,
        notes=(*notes, *reading.boxes.notes(), *reading.failures()),
    )


def _dialect(info: Object) -> str:
    version = as_text(info.get("format_version"))
    if version.startswith(_ANIML):
        return f"animl {version}"
    return f"MegaDetector {version or '(without a version)'}"


class _MegaDetectorReading:
    """One document, and what is counted on the way."""

    def __init__(self, document: Object, where: str) -> None:
        self._where = where
        self._categories = _names(document.get("detection_categories")) or USUAL
        self._labels = _names(document.get("classification_categories"))
        self._failed = 0
        self.boxes = BoxCounter()

    def entry(self, image: Object) -> RecognizedFile:
        """One picture.

        Raises:
            UsageError: It has no name, or a box of it has a category that is not known.
        """
        name = as_text(image.get("file"))
        if not name:
            raise UsageError(f"{self._where}: an image has no file; its keys are {', '.join(map(repr, image))}")
        failure = as_text(image.get("failure"))
        found = image.get("detections")
        self._failed += bool(failure)
        listed = objects(found, f"{self._where}: detections of {name!r}")
        written = [box for item in listed if (box := self._box(item, name)) is not None]
        return RecognizedFile(
            name=name,
            boxes=None if failure or found is None else self.boxes.found(written),
            blank=found is not None and not written and not failure,
            time=as_text(image.get("datetime")),
            location=as_text(image.get("location")),
            failure=failure,
        )

    def failures(self) -> tuple[str, ...]:
        """A note about the pictures that the other program could not read."""
        files = "file" if self._failed == 1 else "files"
        return (f"{self._failed:,} {files} could not be read by the program that wrote it",) if self._failed else ()

    def _box(self, item: Object, name: str) -> WrittenBox | None:
        number = as_text(item.get("category"))
        where = f"{self._where}: a box of {name!r}"
        category = category_of(self._categories.get(number, "" if number == "0" else number or "?"), where)
        if category is None:
            return None
        label, probability = self._best(item.get("classifications"), where)
        frame = item.get("frame_number", item.get("frame"))
        return WrittenBox(
            category=category,
            confidence=_score(item.get("conf", item.get("confidence"))),
            numbers=numbers(item.get("bbox"), 4),
            frame=as_frame(frame),
            label=label,
            label_probability=probability,
        )

    def _best(self, classifications: object, where: str) -> tuple[str, float | None]:
        """The most probable class: files are sorted by probability, but nothing makes them."""
        best: tuple[str, float | None] = ("", None)
        for pair in classifications if isinstance(classifications, list) else ():
            if not isinstance(pair, list) or len(pair) != 2:
                raise UsageError(f"{where} has the classification {pair!r:.80}; wanted: [category, probability]")
            label = self._labels.get(as_text(pair[0]))
            if label is None:
                raise UsageError(f"{where} has the class {pair[0]!r:.80}, which is not in classification_categories")
            probability = as_number(pair[1])
            if probability is not None and (best[1] is None or probability > best[1]):
                best = (label, probability)
        return best


def _score(value: object) -> float:
    """A confidence; one that is no number drops its box."""
    number = as_number(value)
    return -1.0 if number is None else number


def _names(value: object) -> Mapping[str, str]:
    return {as_text(key): as_text(name) for key, name in as_object(value).items()}
