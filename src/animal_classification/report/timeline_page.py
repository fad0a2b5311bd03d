"""The events of a folder as one page, day by day: it needs no other file, no network, and works without its script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from importlib.resources import files
from itertools import groupby
from pathlib import Path

from animal_classification.common.parallel import ordered_map
from animal_classification.common.text_files import write_text
from animal_classification.report.page import require, template
from animal_classification.report.pictures import thumbnail

# A page that a phone opens: about 25 KB a picture. The table of events has all of them.
MOST_EVENTS = 3000
MOST_PICTURES = 400
_SIDE = 480
_MINUTES_A_DAY = 24 * 60


@dataclass(frozen=True, slots=True)
class TimelineBox:
    """A box on the picture of an event, in fractions of it, with its answer."""

    x: float
    y: float
    width: float
    height: float
    category: str
    answer: str


@dataclass(frozen=True, slots=True)
class TimelineFile:
    """A file of an event: its name in the table, its time (``20:43:09``), and what was answered."""

    path: str
    time: str
    answer: str


@dataclass(frozen=True, slots=True)
class TimelineAnswer:
    """What was seen in an event.

    Attributes:
        answer: In words.
        category: ``animal``, ``person``, ``vehicle``; empty where nothing was seen.
        count: The largest number in one picture.
        probability: Of the best sighting.
        scientific_name: Of the taxon; empty where there is none.
    """

    answer: str
    category: str
    count: int
    probability: float | None
    scientific_name: str = ""

    @property
    def sure(self) -> str:
        """The probability for people, who should not read certainty into rounding; empty for people and vehicles."""
        if self.probability is None or self.category != "animal":
            return ""
        return ">99%" if self.probability > 0.99 else f"{self.probability:.0%}"


@dataclass(slots=True, kw_only=True)
class TimelineEvent:
    """One event.

    Attributes:
        name: As in the tables.
        deployment: Where.
        start: Of its first file; None where none has a time.
        end: Of its last.
        answers: What was seen, the most frequent first.
        best_path: The file that shows it best.
        files: All of its files.
        boxes: Those on the best one.
        source: Where that is; None if it is not at hand.
        picture: As a data URL, once it is made.
    """

    name: str
    deployment: str
    start: datetime | None
    end: datetime | None
    answers: list[TimelineAnswer]
    best_path: str
    files: list[TimelineFile] = field(default_factory=list)
    boxes: list[TimelineBox] = field(default_factory=list)
    source: Path | None = None
    picture: str | None = None

    @property
    def is_blank(self) -> bool:
        """Whether nothing was seen."""
        return not any(answer.category for answer in self.answers)

    @property
    def anchor(self) -> str:
        """Its place in the page."""
        return "e" + hashlib.blake2b(self.name.encode("utf-8", "replace"), digest_size=8).hexdigest()

    @property
    def when(self) -> str:
        """From when to when, without the day that the heading has."""
        if self.start is None or self.end is None:
            return "no time"
        first = f"{self.start:%H:%M:%S}"
        if self.end == self.start:
            return first
        same = self.end.date() == self.start.date()
        return f"{first} to {self.end:%H:%M:%S}" if same else f"{first} to {self.end:%Y-%m-%d %H:%M:%S}"

    @property
    def minute(self) -> int:
        """Of the day at which it began."""
        return 0 if self.start is None else self.start.hour * 60 + self.start.minute

    @property
    def kind(self) -> str:
        """What it is drawn as: ``animal``, ``person``, ``vehicle``, ``blank``."""
        return next((answer.category for answer in self.answers if answer.category), "blank")


@dataclass(frozen=True, slots=True)
class TimelineDay:
    """The events of one day; of those without a time, ``day`` is None."""

    day: date | None
    events: list[TimelineEvent]

    @property
    def title(self) -> str:
        """For its heading."""
        return "Without a time" if self.day is None else f"{self.day:%A}, {self.day.day} {self.day:%B %Y}"


def first_events(events: Iterable[TimelineEvent]) -> tuple[list[TimelineEvent], int]:
    """The events that a page shows, by time, and how many there are."""
    ordered = sorted(events, key=lambda event: (event.start is None, event.start or datetime.min, event.name))
    return ordered[:MOST_EVENTS], len(ordered)


def write_timeline(
    shown: Sequence[TimelineEvent], title: str, target: Path, *, count: int, threads: int | None = None
) -> None:
    """Write the page; a file of that name is replaced in one step.

    Args:
        shown: The events, as ``first_events`` gives them.
        title: What the page is of.
        target: The file.
        count: How many events there are.
        threads: Pictures that are made at once.

    Raises:
        OutputError: The system refuses.
        MissingExtraError: Jinja2 is not installed.
    """
    require("a timeline")
    _add_pictures([event for event in shown if not event.is_blank and event.source][:MOST_PICTURES], threads)
    write_text(render(shown, title, count=count), target)


def _add_pictures(events: Sequence[TimelineEvent], threads: int | None) -> None:
    def work(chunk: Sequence[TimelineEvent]) -> list[str | None]:
        return [thumbnail(event.source, _SIDE) if event.source else None for event in chunk]

    for event, picture in zip(events, ordered_map(work, events, threads=threads), strict=True):
        event.picture = picture


def render(events: Sequence[TimelineEvent], title: str, *, count: int) -> str:
    """The page as text.

    Args:
        events: Those that are shown, by time.
        title: What the page is of.
        count: How many there are.
    """
    script, style = (_text(f"timeline.{ending}") for ending in ("js", "css"))
    seen = {answer.answer for event in events for answer in event.answers}
    context = {
        "title": title,
        "count": count,
        "shown": len(events),
        "pictures": sum(event.picture is not None for event in events),
        "wanted": sum(not event.is_blank for event in events),
        "days": list(days(events)),
        "answers": sorted(seen, key=str.casefold),
        "deployments": sorted({event.deployment for event in events}),
        "script": script,
        "timeline_style": style,
        "hashes": (_source_hash(script), _source_hash(style)),
        "minutes": _MINUTES_A_DAY,
        "hours": range(0, 24, 6),
    }
    return template("timeline.html.j2", context)


def days(events: Iterable[TimelineEvent]) -> Iterator[TimelineDay]:
    """The events by the day on which they began; those without a time come last."""
    for day, found in groupby(events, key=lambda event: event.start.date() if event.start else None):
        yield TimelineDay(day, list(found))


def clock(moment: str) -> str:
    """The time of day of an ISO time, to the second; empty for none."""
    return f"{datetime.fromisoformat(moment).time().replace(microsecond=0):%H:%M:%S}" if moment else ""


def _text(name: str) -> str:
    return (files(__package__) / "templates" / name).read_text(encoding="utf-8")


def _source_hash(text: str) -> str:
    """As a content security policy names what may stand in a page (CSP 3, 2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"
