"""What was seen in an event, as rows of a table: one for each final taxon, with the largest number seen at once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
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
Taxon = tuple[str, str, str]
"""Category, answer and scientific name."""


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
        burst: That the picture belongs to; empty where pictures do not decide together.
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
    burst: str = ""

    @property
    def taxon(self) -> Taxon:
        """What the rows of an event are grouped by."""
        return self.category, self.answer, self.scientific_name


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

    One animal has one row, also where some pictures of its burst tell less of it: see ``_seen_wider``.

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
    taxa: dict[Taxon, list[Sighting]] = defaultdict(list)
    for sighting in sightings:
        taxa[sighting.taxon].append(sighting)
    wider = _seen_wider(taxa)
    moved = {id(one) for many in wider.values() for one in many}
    own = {taxon: [one for one in found if id(one) not in moved] for taxon, found in taxa.items()}
    rows = [
        (_with_taxon(nothing, found, wider[taxon]), max(map(_evidence, found))) for taxon, found in own.items() if found
    ]
    return [row for row, _ in sorted(rows or [(nothing, 0.0)], key=_rank)]


def _seen_wider(taxa: Mapping[Taxon, Sequence[Sighting]]) -> dict[Taxon, list[Sighting]]:
    """For each taxon the sightings with a wider answer that are taken for it: of the same animals, seen less well.

    A heron that is a great egret in three pictures of a burst and Ardeidae in the fourth is one bird. Within a burst, a
    wider answer counts for the taxon below it if there is only one, if no picture shows both, and if no more animals at
    once have the wider answer. In any other case both have a row.
    """
    bursts: dict[str, dict[Taxon, list[Sighting]]] = defaultdict(lambda: defaultdict(list))
    for taxon, found in taxa.items():
        for sighting in found:
            if sighting.burst:
                bursts[sighting.burst][taxon].append(sighting)
    joined: dict[Taxon, list[Sighting]] = defaultdict(list)
    for burst in bursts.values():
        # The finest first: Ardeidae is taken for the egret before Aves is looked at.
        for taxon in sorted(burst, key=lambda taxon: (-_depth(burst[taxon][0]), taxon)):
            finer = _only_taxon_below(burst[taxon][0], [found[0] for found in burst.values() if found])
            if finer is not None and _may_be_the_same(burst[taxon], burst[finer.taxon]):
                joined[finer.taxon] += burst[taxon]
                burst[finer.taxon] += burst[taxon]
                burst[taxon] = []
    return joined


def _only_taxon_below(wide: Sighting, others: Sequence[Sighting]) -> Sighting | None:
    """The one finest taxon of a burst inside of a wider one; none where there are several, or it is no taxon."""
    below = [one for one in others if _is_inside(one, wide)]
    finest = [one for one in below if not any(_is_inside(other, one) for other in below)]
    return finest[0] if len(finest) == 1 else None


def _is_inside(one: Sighting, wide: Sighting) -> bool:
    """Whether an answer is a taxon or a label below another taxon."""
    depth = _depth(wide)
    finer = one.answer_level == "label" or _depth(one) > depth
    return depth > 0 and finer and one.category == wide.category and one.lineage[:depth] == wide.lineage[:depth]


def _depth(sighting: Sighting) -> int:
    """How many ranks down the answer is; 0 for one that is no taxon: a label, a group, any animal."""
    return RANKS.index(sighting.answer_level) + 1 if sighting.answer_level in RANKS else 0


def _may_be_the_same(wide: Sequence[Sighting], fine: Sequence[Sighting]) -> bool:
    apart = {(one.path, one.frame) for one in wide}.isdisjoint((one.path, one.frame) for one in fine)
    return apart and _most_at_once(wide) <= _most_at_once(fine)


def _rank(pair: tuple[EventRow, float]) -> tuple[int, int, float, str, str, str]:
    row, evidence = pair
    return -row.files_with, -row.count, -evidence, row.category, row.answer, row.scientific_name


def _with_taxon(row: EventRow, found: Sequence[Sighting], wider: Sequence[Sighting]) -> EventRow:
    """The row of an event for one taxon, by all sightings of it, and those of wider answers that are taken for it."""
    best = max(found, key=lambda sighting: (_evidence(sighting), _reversed(sighting.path)))
    return replace(
        row,
        files_with=len({sighting.path for sighting in (*found, *wider)}),
        category=best.category,
        answer=best.answer,
        answer_level=best.answer_level,
        probability=best.probability,
        scientific_name=best.scientific_name,
        lineage=best.lineage,
        count=_most_at_once(found),
        best_path=best.path,
    )


def _most_at_once(found: Iterable[Sighting]) -> int:
    return max(Counter((sighting.path, sighting.frame) for sighting in found).values())


def _evidence(sighting: Sighting) -> float:
    return sighting.confidence * sighting.probability


def _reversed(path: str) -> tuple[int, ...]:
    """Sorts the other way round: of equally good files, the first by name."""
    return tuple(-ord(character) for character in path)
