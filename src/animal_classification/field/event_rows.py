"""What was seen in an event, as rows of a table: one for each final taxon, with the largest number seen at once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from animal_classification.data.detections import Category
from animal_classification.field.camera_clock import time_text

EVENT_COLUMNS = (
    *("event", "deployment", "start", "end", "files", "files_with", "category", "answer", "answer_level"),
    *("probability", "scientific_name", "class", "order", "family", "genus", "species", "count", "best_path"),
)
RANKS = ("class", "order", "family", "genus", "species")
BLANK, UNREADABLE = "blank", "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One thing that counts in one picture or frame, with its final answer.

    Attributes:
        path: The file.
        frame: Of a video; None in a photo.
        category: What the detector found; a whole picture is an ``animal``.
        answer: What people read; ``person`` or ``vehicle`` for those.
        answer_level: As in the table of files.
        probability: Of the answer.
        confidence: Of the box; 1 for a whole picture.
        scientific_name: Of the answer; empty where there is none.
        lineage: Class, order, family, genus, species; empty from where the answer ends.
    """

    path: str
    frame: int | None = None
    category: Category
    answer: str
    answer_level: str
    probability: float
    confidence: float = 1.0
    scientific_name: str = ""
    lineage: tuple[str, str, str, str, str] = ("", "", "", "", "")


@dataclass(frozen=True, slots=True)
class EventFile:
    """A file of an event.

    Attributes:
        path: Its name in the table.
        time: By the camera's clock; None for a file without a time.
        readable: Whether there is a picture in which something can have been seen.
    """

    path: str
    time: datetime | None
    readable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """A row of the table of events; see docs/times.md.

    Attributes:
        event: Its name.
        deployment: Where it was.
        start: Time of the first file; None where none has one.
        end: Time of the last.
        files: How many the event has.
        files_with: How many show this taxon.
        category: ``animal``, ``person``, ``vehicle``; empty where nothing was seen.
        answer: The taxon in words; ``blank``, or ``unreadable`` where no file has a picture.
        answer_level: As in the table of files.
        probability: Of the best sighting; None where nothing was seen.
        scientific_name: Of the taxon.
        lineage: Class, order, family, genus, species.
        count: The largest number in one picture or frame.
        best_path: The file in which it is seen best.
    """

    event: str
    deployment: str
    start: datetime | None
    end: datetime | None
    files: int
    files_with: int = 0
    category: Category | Literal[""] = ""
    answer: str
    answer_level: str
    probability: float | None = None
    scientific_name: str = ""
    lineage: tuple[str, str, str, str, str] = ("", "", "", "", "")
    count: int = 0
    best_path: str = ""

    def values(self) -> dict[str, str | int | float | None]:
        """The row by ``EVENT_COLUMNS``."""
        return {
            "event": self.event,
            "deployment": self.deployment,
            "start": time_text(self.start),
            "end": time_text(self.end),
            "files": self.files,
            "files_with": self.files_with,
            "category": self.category,
            "answer": self.answer,
            "answer_level": self.answer_level,
            "probability": self.probability,
            "scientific_name": self.scientific_name,
            **dict(zip(RANKS, self.lineage, strict=True)),
            "count": self.count,
            "best_path": self.best_path,
        }


def event_rows(
    event: str, deployment: str, files: Sequence[EventFile], sightings: Iterable[Sighting]
) -> list[EventRow]:
    """The rows of one event, the taxon in most files first, then the surest; one row if nothing was seen.

    Args:
        event: Its name.
        deployment: Where it was.
        files: All of its files; at least one.
        sightings: What counts in them, in any order.
    """
    times = sorted(file.time for file in files if file.time is not None)
    seen = any(file.readable for file in files)
    nothing = EventRow(
        event=event,
        deployment=deployment,
        start=times[0] if times else None,
        end=times[-1] if times else None,
        files=len(files),
        answer=BLANK if seen else UNREADABLE,
        answer_level=BLANK if seen else "",
        best_path=min(file.path for file in files),
    )
    taxa: dict[tuple[str, str, str], list[Sighting]] = defaultdict(list)
    for sighting in sightings:
        taxa[sighting.category, sighting.answer, sighting.scientific_name].append(sighting)
    found = [(_with_taxon(nothing, one), max(map(_evidence, one))) for one in taxa.values()] or [(nothing, 0.0)]
    return [row for row, _ in sorted(found, key=_rank)]


def _rank(pair: tuple[EventRow, float]) -> tuple[int, int, float, str, str, str]:
    row, evidence = pair
    return -row.files_with, -row.count, -evidence, row.category, row.answer, row.scientific_name


def _with_taxon(row: EventRow, found: Sequence[Sighting]) -> EventRow:
    """The row of an event for one taxon, by all sightings of it."""
    best = max(found, key=lambda sighting: (_evidence(sighting), _reversed(sighting.path)))
    at_once = Counter((sighting.path, sighting.frame) for sighting in found)
    return replace(
        row,
        files_with=len({sighting.path for sighting in found}),
        category=best.category,
        answer=best.answer,
        answer_level=best.answer_level,
        probability=best.probability,
        scientific_name=best.scientific_name,
        lineage=best.lineage,
        count=max(at_once.values()),
        best_path=best.path,
    )


def _evidence(sighting: Sighting) -> float:
    return sighting.confidence * sighting.probability


def _reversed(path: str) -> tuple[int, ...]:
    """Sorts the other way round: of equally good files, the first by name."""
    return tuple(-ord(character) for character in path)
