"""SpeciesNet's predictions: up to version 4 one classification for each picture, from version 5 one for each box.

Source: README and ``ensemble.py`` of speciesnet 4.0 and 5.0.6. A class is written
``id;class;order;family;genus;species;common name``.
"""

from __future__ import annotations

from animal_classification.data.recognitions.boxes import BoxCounter, WrittenBox
from animal_classification.data.recognitions.categories import USUAL, category_of
from animal_classification.data.recognitions.entry import RecognizedFile
from animal_classification.data.recognitions.recognitions import Recognitions, last_of_each
from animal_classification.data.recognitions.values import Object, as_number, as_object, as_text, numbers, objects
from animal_classification.errors import UsageError

_NOT_ANIMALS = frozenset({"", "blank", "human", "vehicle", "animal", "no cv result"})
_WHOLE_PICTURE = "0"
Named = tuple[str, float | None]


def is_speciesnet(document: Object) -> bool:
    """Whether a document has this structure, or is what SpeciesNet takes in."""
    return isinstance(document.get("predictions"), list) or isinstance(document.get("instances"), list)


def read_speciesnet(document: Object, where: str) -> Recognitions:
    """Read a document.

    Raises:
        UsageError: It is not what the format says, or has a category that is not known.
    """
    if "predictions" not in document:
        raise UsageError(f"{where} is what SpeciesNet takes in (instances), without detections; name its predictions")
    predictions = objects(document["predictions"], f"{where}: predictions")
    boxes = BoxCounter()
    entries, notes = last_of_each(_entry(item, where, boxes) for item in predictions)
    failed = sum(bool(entry.failure) for entry in entries)
    failures = (f"{failed:,} have no detections: {entries_failure(entries)}",) if failed else ()
    return Recognitions(
        where=where,
        dialect=_dialect(document, predictions),
        detector=_model(predictions),
        typical_threshold=None,
        entries=entries,
        notes=(*notes, *boxes.notes(), *failures),
    )


def entries_failure(entries: tuple[RecognizedFile, ...]) -> str:
    """Why the first picture that failed did."""
    return next((entry.failure for entry in entries if entry.failure), "")


def common_name(written: str) -> str:
    """The name of a class, in English or else the finest taxon; empty for one that is no animal.

    >>> common_name("1234;mammalia;carnivora;felidae;panthera;leo;lion")
    'lion'
    >>> common_name("1234;mammalia;carnivora;felidae;;;")
    'felidae'
    """
    parts = [part.strip() for part in written.split(";")]
    if len(parts) != 7:
        return "" if written.strip().casefold() in _NOT_ANIMALS else written.strip()
    *_, genus, species, common = parts
    if common:
        return "" if common.casefold() in _NOT_ANIMALS else common
    return f"{genus} {species}" if genus and species else next((part for part in reversed(parts[1:]) if part), "")


def _dialect(document: Object, predictions: list[Object]) -> str:
    version = as_text(as_object(document.get("info")).get("format_version"))
    found = (found for item in predictions for found in _detections(item))
    by_box = any("processed_classification" in one or "raw_classifications" in one for one in found)
    return f"SpeciesNet 5{f' (format {version})' if version else ''}" if version or by_box else "SpeciesNet 4"


def _model(predictions: list[Object]) -> str:
    version = next((text for item in predictions if (text := as_text(item.get("model_version")))), "")
    return f"model {version}" if version else ""


def _entry(item: Object, where: str, boxes: BoxCounter) -> RecognizedFile:
    name = as_text(item.get("filepath"))
    if not name:
        raise UsageError(f"{where}: a prediction has no filepath; its keys are {', '.join(map(repr, item))}")
    label, probability = _of_picture(item)
    found = item.get("detections")
    objects(found, f"{where}: detections of {name!r}")
    written = [box for one in _detections(item) if (box := _box(one, f"{where}: a box of {name!r}")) is not None]
    animals = [box for box in written if box.category == "animal"]
    kept = boxes.found(_with_label(box, label, probability) if [box] == animals else box for box in written)
    failures = item.get("failures")
    return RecognizedFile(
        name=name,
        boxes=None if found is None else kept,
        label=label,
        label_probability=probability,
        blank=as_text(item.get("prediction")).casefold().endswith("blank"),
        failure=", ".join(map(as_text, failures)) if found is None and isinstance(failures, list) else "",
    )


def _with_label(box: WrittenBox, label: str, probability: float | None) -> WrittenBox:
    """The only animal of a picture is what the picture's classification names."""
    if box.label or not label:
        return box
    return WrittenBox(
        category=box.category,
        confidence=box.confidence,
        numbers=box.numbers,
        label=label,
        label_probability=probability,
    )


def _of_picture(item: Object) -> Named:
    decided = as_text(item.get("prediction"))
    if decided:
        return _named(decided, item.get("prediction_score"))
    return _first(item.get("classifications"))


def _box(found: Object, where: str) -> WrittenBox | None:
    number = as_text(found.get("category"))
    if number == _WHOLE_PICTURE:
        return None
    category = category_of(as_text(found.get("label")) or USUAL.get(number, number or "?"), where)
    if category is None:
        return None
    decided = as_object(found.get("processed_classification"))
    label, probability = (
        _named(as_text(decided.get("class")), decided.get("score"))
        if decided
        else _first(found.get("raw_classifications"))
    )
    score = as_number(found.get("conf"))
    return WrittenBox(
        category=category,
        confidence=-1.0 if score is None else score,
        numbers=numbers(found.get("bbox"), 4),
        label=label if category == "animal" else "",
        label_probability=probability if category == "animal" and label else None,
    )


def _first(classifications: object) -> Named:
    """The best of ``{"classes": […], "scores": […]}``, which are sorted."""
    found = as_object(classifications)
    classes, scores = found.get("classes"), found.get("scores")
    if not isinstance(classes, list) or not classes:
        return "", None
    return _named(as_text(classes[0]), scores[0] if isinstance(scores, list) and scores else None)


def _named(written: str, score: object) -> Named:
    label = common_name(written)
    return label, as_number(score) if label else None


def _detections(item: Object) -> list[Object]:
    found = item.get("detections")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
