"""From the journal of a field run to final rows: deployments, events, bursts, decisions. It needs no model.

Three passes over the journal keep memory small. The first reads when and where each file was taken; the second decides
burst by burst, in the order of time, and leaves what it decided in a temporary file; the third gives rows in the order
of the input. What stays in memory is some hundred bytes a file.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any

from animal_classification.errors import UsageError
from animal_classification.field.camera_clock import time_text
from animal_classification.field.deployment_sheet import unmatched_rows
from animal_classification.field.event_rows import EventFile, Sighting, event_rows
from animal_classification.field.events import EventPlace, TimedFile, group_into_events
from animal_classification.field.gps_position import shared_positions
from animal_classification.field.photo_facts import PhotoFacts
from animal_classification.predict.evidence import FileEvidence
from animal_classification.predict.field_columns import detection_row, file_row
from animal_classification.predict.journal import JournalEntry, entry_at, stored_entries
from animal_classification.predict.writers.text import to_json

if TYPE_CHECKING:
    from animal_classification.field.gps_position import Position
    from animal_classification.predict.decisions import DecidedPicture
    from animal_classification.predict.field_rules import ReadRules
    from animal_classification.predict.field_run import FieldRun

RowObject = dict[str, Any]


@dataclass
class AssemblyCounts:
    """What is in the tables.

    Attributes:
        files: Rows of files.
        unreadable: Of these, with an error.
        detections: Boxes that reach the threshold.
        events: How many there are.
        blank: Files with nothing in them.
        unknown: Files that are none of the labels, where that does not mean blank.
        dateless: Files without a time.
        answers: How often each answer was given to a file.
        smoothed: Answers that a burst decided.
    """

    files: int = 0
    unreadable: int = 0
    detections: int = 0
    events: int = 0
    blank: int = 0
    unknown: int = 0
    dateless: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    smoothed: int = 0


@dataclass(frozen=True, slots=True)
class _FilePlace:
    """Where a file is in the journal, and when it was taken."""

    at: int
    timed: TimedFile


@dataclass
class Assembly:
    """The tables of one journal.

    Attributes:
        journal: Its file, with one row for each path, or several of which the last one counts.
        run: What it was made with.
        rules: What decides.
    """

    journal: Path
    run: FieldRun
    rules: ReadRules
    counts: AssemblyCounts = field(default_factory=AssemblyCounts)
    notes: list[str] = field(default_factory=list)
    _order: dict[str, int] = field(default_factory=dict)
    _visits: list[RowObject] = field(default_factory=list)
    _not_places: frozenset[Position] = frozenset()

    def __enter__(self) -> Assembly:
        with ExitStack() as stack:  # closed where the journal turns out to be damaged
            self._source: IO[bytes] = stack.enter_context(self.journal.open("rb"))
            self._decided: IO[bytes] = stack.enter_context(TemporaryFile())
            self._events: IO[bytes] = stack.enter_context(TemporaryFile())
            self._decide_all(self._deployments())
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def files(self) -> Iterator[tuple[RowObject, list[RowObject]]]:
        """Each file's row with its detections' rows, in the order of the input."""
        for place in self._order.values():
            self._decided.seek(place)
            row, detections = json.loads(self._decided.readline())
            yield row, detections

    def events(self) -> Iterator[RowObject]:
        """The rows of events, by deployment and time."""
        self._events.seek(0)
        yield from map(json.loads, self._events)

    def deployment_rows(self) -> list[RowObject]:
        """A row for each deployment: when, where, and how much."""
        return self._visits

    def _deployments(self) -> dict[str, list[_FilePlace]]:
        """The first pass: the files of each deployment."""
        found: dict[str, _FilePlace] = {}
        positions: dict[str, set[Position]] = defaultdict(set)
        deployments = self.rules.deployments
        for at, entry in stored_entries(self.journal):
            path = entry.row["path"]
            facts = self._facts(entry, path)
            if facts.position is not None:
                positions[deployments.of(path)].add(facts.position)
            found[path] = _FilePlace(at, _timed(path, facts))
        self._not_places = shared_positions((name, one) for name, many in positions.items() for one in many)
        self._order = dict.fromkeys(found, 0)
        groups: dict[str, list[_FilePlace]] = defaultdict(list)
        for path, place in found.items():
            groups[deployments.of(path)].append(place)
        self._note_misses(groups, found)
        return groups

    def _note_misses(self, groups: dict[str, list[_FilePlace]], paths: dict[str, _FilePlace]) -> None:
        """What of the user's sheet and shifts met no file."""
        if self.rules.deployments.by_id:
            folders = {path.rpartition("/")[0] for path in paths}
            self.notes += unmatched_rows(self.rules.deployments, groups, folders)
        self.notes += [
            f"--shift {name}=…: there is no deployment of that name" for name in self.rules.shifts.unused(groups)
        ]
        if self._not_places:
            self.notes.append("one GPS position stands in photos of several deployments: it is no place, and left out")

    def _decide_all(self, groups: dict[str, list[_FilePlace]]) -> None:
        """The second pass."""
        for deployment, files in groups.items():
            at = {file.timed.path: file.at for file in files}
            places = group_into_events(deployment, [file.timed for file in files], self.rules.gaps)
            before = self.counts.events
            for event, in_event in groupby(places.items(), key=lambda item: item[1].event):
                self._decide_event(deployment, event, list(in_event), at)
            times = [file.timed.time for file in files if file.timed.time is not None]
            sheet = self.rules.deployments.by_id.get(deployment)
            self._visits.append(
                {
                    "deployment": deployment,
                    "start": time_text(min(times, default=None)),
                    "end": time_text(max(times, default=None)),
                    "files": len(files),
                    "dateless": len(files) - len(times),
                    "events": self.counts.events - before,
                    "latitude": sheet.latitude if sheet else None,
                    "longitude": sheet.longitude if sheet else None,
                }
            )

    def _decide_event(
        self, deployment: str, event: str, files: list[tuple[str, EventPlace]], at: dict[str, int]
    ) -> None:
        seen: list[Sighting] = []
        taken: list[EventFile] = []
        for _, burst in groupby(files, key=lambda item: item[1].burst):
            entries = [(entry_at(self._source, at[path]), place) for path, place in burst]
            evidence = [self._evidence(entry) for entry, _ in entries]
            pictures = self.rules.decider.decide(evidence)
            for (entry, place), picture in zip(entries, pictures, strict=True):
                facts = self._facts(entry, entry.row["path"])
                self._keep(entry, picture, facts, place, deployment)
                taken.append(EventFile(entry.row["path"], facts.time, readable=entry.row["error"] is None))
                seen += _sightings(entry.row["path"], picture, place.burst if self.rules.decider.smooth else "")
        self.counts.events += 1
        for row in event_rows(event, deployment, taken, seen):
            self._events.write(to_json(row.values()) + b"\n")

    def _evidence(self, entry: JournalEntry) -> FileEvidence:
        with self._reading(entry):
            evidence = FileEvidence.of(entry.evidence or {"facts": {}})
            for answer in (evidence.whole, *(box.answer for box in evidence.boxes)):
                if answer is not None and len(answer.probabilities) != len(self.run.labels):
                    raise ValueError(f"{len(answer.probabilities)} probabilities of {len(self.run.labels)} labels")
            return evidence

    @contextmanager
    def _reading(self, entry: JournalEntry) -> Iterator[None]:
        """What goes wrong with an entry is the journal's fault."""
        try:
            yield
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            path, why = entry.row["path"], " ".join(str(error).split())
            raise UsageError(f"{str(self.journal)!r} is damaged where it is about {path!r}: {why}") from error

    def _keep(
        self, entry: JournalEntry, picture: DecidedPicture, facts: PhotoFacts, place: EventPlace, deployment: str
    ) -> None:
        """Write down what was decided for a file, and count it."""
        row = file_row(entry.row, picture, facts, place, deployment)
        source = self.run.boxes
        detections = [
            detection_row(entry.row, number, box, place, source) for number, box in enumerate(picture.boxes, start=1)
        ]
        self._order[entry.row["path"]] = self._decided.seek(0, 2)
        self._decided.write(to_json([row, detections]) + b"\n")
        self._count(row, picture)

    def _count(self, row: RowObject, picture: DecidedPicture) -> None:
        counts = self.counts
        counts.files += 1
        counts.detections += sum(box.counts for box in picture.boxes)
        counts.dateless += not row["time"]
        counts.smoothed += row["decision"] == "smoothed"
        if row["error"] is not None:
            counts.unreadable += 1
        elif picture.blank:
            counts.blank += 1
        elif picture.final.level == "unknown":
            counts.unknown += 1
        elif picture.final.answer:
            counts.answers[picture.final.answer] += 1

    def _facts(self, entry: JournalEntry, path: str) -> PhotoFacts:
        """When and where, with the clock put right."""
        with self._reading(entry):
            facts = PhotoFacts.from_record((entry.evidence or {}).get("facts", {}))
        times = self.rules.times
        facts = facts.dated_by_name(path, times)
        deployment = self.rules.deployments.row_of(path)
        name = deployment.id if deployment else self.rules.deployments.of(path)
        facts = facts.shifted(self.rules.shifts.of(name, deployment.shift if deployment else None), times)
        return facts.without_position() if facts.position in self._not_places else facts


def _timed(path: str, facts: PhotoFacts) -> TimedFile:
    return TimedFile(path, facts.time, facts.event_number, facts.sequence, facts.kind == "video")


def _sightings(path: str, picture: DecidedPicture, burst: str) -> Iterator[Sighting]:
    """What counts in a picture: its boxes at the threshold, else all of it; ``burst`` where one decides together."""
    counted = [box for box in picture.boxes if box.counts]
    for box in counted:
        one, final = box.found.detection, box.final
        yield Sighting(
            path=path,
            frame=one.frame,
            category=one.category,
            answer=final.answer,
            answer_level=final.level,
            probability=final.probability or 0.0,
            confidence=one.confidence,
            scientific_name=final.scientific_name,
            lineage=final.lineage,
            burst=burst,
        )
    final = picture.final
    if not counted and final.answer and not picture.blank:
        yield Sighting(
            path=path,
            category="animal",
            answer=final.answer,
            answer_level=final.level,
            probability=final.probability or 0.0,
            scientific_name=final.scientific_name,
            lineage=final.lineage,
            burst=burst,
        )
