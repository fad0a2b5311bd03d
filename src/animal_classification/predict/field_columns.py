"""Columns of the tables of a field run, and their rows: files, detections, events (a contract: docs/field.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from animal_classification.field.camera_clock import time_text
from animal_classification.field.event_rows import EVENT_COLUMNS, RANKS
from animal_classification.predict.table import DIGITS, SET_SEPARATOR, Row, columns, is_probability, to_values

if TYPE_CHECKING:
    from animal_classification.field.events import EventPlace
    from animal_classification.field.photo_facts import PhotoFacts
    from animal_classification.predict.decisions import DecidedBox, DecidedPicture, FinalAnswer
    from animal_classification.predict.field_run import BoxSource

ColumnKind = Literal["text", "real", "whole", "truth", "time"]
CellValue = str | float | int | bool | None


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, and what its cells hold."""

    name: str
    kind: ColumnKind


_PLACE = ("time_source", "offset", "camera_time", "deployment", "burst", "event")
_DECIDED = ("scientific_name", "decision", "decision_why", "raw_answer")
_CAMERA = ("make", "model_of_camera", "serial")

FILE_COLUMNS: tuple[Column, ...] = (
    Column("kind", "text"),
    Column("time", "time"),
    *(Column(name, "text") for name in _PLACE),
    *(Column(name, "whole") for name in ("detections", "animals", "persons", "vehicles")),
    Column("blank", "truth"),
    Column("answer_level", "text"),
    *(Column(name, "text") for name in _DECIDED),
    Column("raw_probability", "real"),
    *(Column(name, "text") for name in _CAMERA),
    *(Column(name, "real") for name in ("temperature", "latitude", "longitude")),
)
"""What is appended to the columns of every table of predictions."""

DETECTION_COLUMNS: tuple[Column, ...] = (
    Column("path", "text"),
    Column("detection", "whole"),
    Column("frame", "whole"),
    Column("category", "text"),
    *(Column(name, "real") for name in ("confidence", "x", "y", "width", "height")),
    *(Column(name, "text") for name in ("label", "label_id")),
    Column("probability", "real"),
    Column("group", "text"),
    Column("group_probability", "real"),
    Column("unknown", "truth"),
    *(Column(name, "text") for name in ("set", "answer", "answer_level")),
    Column("answer_probability", "real"),
    *(Column(name, "text") for name in ("scientific_name", *RANKS, "decision", "decision_why", "raw_answer")),
    Column("raw_probability", "real"),
    *(
        Column(name, "text")
        for name in ("burst", "event", "detector", "detector_version", "model", "model_version", "given_label")
    ),
    Column("given_probability", "real"),
)

_EVENT_KINDS: dict[str, ColumnKind] = {
    "files": "whole",
    "files_with": "whole",
    "count": "whole",
    "start": "time",
    "end": "time",
    "probability": "real",
}
EVENT_TABLE_COLUMNS: tuple[Column, ...] = tuple(Column(name, _EVENT_KINDS.get(name, "text")) for name in EVENT_COLUMNS)


def base_columns(top_k: int) -> tuple[Column, ...]:
    """The columns of every table of predictions, field run or not."""
    return tuple(Column(name, _base_kind(name)) for name in columns(top_k))


def _base_kind(name: str) -> ColumnKind:
    if name == "unknown":
        return "truth"
    return "real" if is_probability(name) else "text"


def file_row(
    row: Row, picture: DecidedPicture, facts: PhotoFacts, place: EventPlace, deployment: str
) -> dict[str, Any]:
    """A file's row as ``json`` holds it, without its detections: the row of every table, and what is appended."""
    final = picture.final
    base: dict[str, Any] = dict(row)
    if row["error"] is None:
        base |= _nothing() if picture.source is None else picture.source.row
        base |= {"answer": final.answer or None, "answer_probability": _rounded(final.probability)}
    return {
        **base,
        "kind": facts.kind,
        "time": time_text(facts.time),
        "time_source": facts.time_source,
        "offset": facts.offset,
        "camera_time": facts.camera_time,
        "deployment": deployment,
        "burst": place.burst,
        "event": place.event,
        "detections": len(picture.boxes),
        "animals": picture.count("animal"),
        "persons": picture.count("person"),
        "vehicles": picture.count("vehicle"),
        "blank": None if row["error"] is not None else picture.blank,
        **_decided(final),
        "make": facts.make,
        "model_of_camera": facts.model_of_camera,
        "serial": facts.serial,
        "temperature": facts.temperature,
        "latitude": facts.latitude,
        "longitude": facts.longitude,
    }


def detection_row(
    row: Row, number: int, box: DecidedBox, place: EventPlace, source: BoxSource | None
) -> dict[str, Any]:
    """One box's row.

    Args:
        row: Of its file.
        number: Of the box in its file, from 1.
        box: With its answer.
        place: Of the file.
        source: Where boxes come from.
    """
    one, final = box.found.detection, box.final
    answer: dict[str, Any] = box.found.answer.row if box.found.answer else {}
    names = ("label", "label_id", "probability", "group", "group_probability", "unknown")
    return {
        "path": row["path"],
        "detection": number,
        "frame": one.frame,
        "category": one.category,
        "confidence": _rounded(one.confidence),
        **{name: _rounded(getattr(one, name)) for name in ("x", "y", "width", "height")},
        **{name: answer.get(name) for name in names},
        "set": SET_SEPARATOR.join(answer.get("set", ())) or None,
        "answer": final.answer,
        "answer_probability": _rounded(final.probability),
        **dict(zip(RANKS, final.lineage, strict=True)),
        **_decided(final),
        "burst": place.burst,
        "event": place.event,
        "detector": source.name if source else None,
        "detector_version": source.version if source else None,
        "model": row["model"],
        "model_version": row["model_version"],
        "given_label": one.label or None,
        "given_probability": _rounded(one.label_probability),
    }


def flat(row: dict[str, Any], top_k: int) -> dict[str, CellValue]:
    """A file's row by its columns: ``top`` and ``set`` spread out."""
    spread = dict(zip(columns(top_k), to_values(cast("Row", row), top_k), strict=True))
    return {**row, **spread}


def _decided(final: FinalAnswer) -> dict[str, Any]:
    return {
        "answer_level": final.level,
        "scientific_name": final.scientific_name,
        "decision": final.decision,
        "decision_why": final.why,
        "raw_answer": final.raw_answer or None,
        "raw_probability": _rounded(final.raw_probability),
    }


def _nothing() -> dict[str, Any]:
    """A row's part for a picture without animals whose whole was not named."""
    empty: dict[str, Any] = dict.fromkeys(
        ("label", "label_id", "probability", "group", "group_probability", "unknown"), None
    )
    return {**empty, "set": [], "top": []}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)
