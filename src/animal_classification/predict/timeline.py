"""The timeline of a field run: its journal's events with their pictures, given to ``report`` as a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Protocol

from animal_classification.data.discovery import from_table_name, table_name
from animal_classification.errors import UsageError
from animal_classification.predict.assembly import Assembly
from animal_classification.predict.field_rules import ReadRules
from animal_classification.predict.field_run import FieldRun
from animal_classification.predict.journal import stored_header
from animal_classification.report.page import refuse_foreign_page, require
from animal_classification.report.timeline_page import (
    TimelineAnswer,
    TimelineBox,
    TimelineEvent,
    TimelineFile,
    clock,
    first_events,
    write_timeline,
)

if TYPE_CHECKING:
    from animal_classification.predict.field_request import FieldRules

_HTML = (".html", ".htm")


@dataclass(frozen=True, slots=True)
class TimelineTarget:
    """Where a timeline goes.

    Attributes:
        path: The file.
        overwrite: Replace a file there that is no page.
    """

    path: str
    overwrite: bool = False

    def check(self) -> None:
        """Refuse what cannot be, before any work is done.

        Raises:
            UsageError: The name is none of a page, or another file has it.
            MissingExtraError: Jinja2 is not installed.
        """
        require("a timeline")
        target = Path(self.path)
        if target.suffix.lower() not in _HTML:
            raise UsageError(f"--html {self.path!r} does not end in .html; change it")
        if target.is_dir():
            raise UsageError(f"--html {self.path!r} is a folder; name a file")
        if not self.overwrite:
            refuse_foreign_page(target, "give another name, or --overwrite")


class PhotoFinder(Protocol):
    """Brings the photos of a run's best pictures."""

    @property
    def title(self) -> str:
        """What the page is of."""
        ...

    def find_all(self, names: Sequence[str]) -> Mapping[str, Path]:
        """The files of these photos, which the table calls so; without those that are not there any more."""
        ...


def timeline_of(
    journal: Path,
    rules: FieldRules,
    target: TimelineTarget,
    *,
    threads: int | None = None,
    sources: PhotoFinder | None = None,
) -> int:
    """Write the timeline of a run.

    Args:
        journal: The run's journal.
        rules: What decides, as for its tables.
        target: Where the page goes.
        threads: Pictures that are made at once.
        sources: Brings the photos; by default they are where the journal says that they were.

    Returns:
        How many events there are.

    Raises:
        OutputError: The system refuses.
        UsageError: The rules contradict the journal.
    """
    header = stored_header(journal)
    assert header.field is not None
    run = FieldRun.from_record(header.field)
    sources = sources or PhotoSources(header.paths)
    with Assembly(journal, run, ReadRules.of(rules, run)) as assembly:
        shown, count = first_events(_events(assembly))
        _add_files(shown, assembly)
    found = sources.find_all([event.best_path for event in shown if not event.is_blank])
    for event in shown:
        event.source = found.get(event.best_path)
    write_timeline(shown, sources.title, Path(target.path), count=count, threads=threads)
    return count


def _add_files(shown: list[TimelineEvent], assembly: Assembly) -> None:
    """Give the events that are shown their files, and the boxes of their best pictures."""
    found = {event.name: event for event in shown}
    for row, detections in assembly.files():
        event = found.get(row["event"])
        if event is None:
            continue
        answer = row["error"] or row["answer"] or ""
        event.files.append(TimelineFile(row["path"], clock(row["time"]), str(answer)))
        if row["path"] == event.best_path:
            event.boxes = [_box(one) for one in detections if one["confidence"] >= assembly.rules.decider.threshold]


def _events(assembly: Assembly) -> Iterator[TimelineEvent]:
    """The events without their files; the first row of each has what is seen in most of them."""
    latest: TimelineEvent | None = None
    for row in assembly.events():
        if latest is None or latest.name != row["event"]:
            if latest is not None:
                yield latest
            latest = TimelineEvent(
                name=row["event"],
                deployment=row["deployment"],
                start=_moment(row["start"]),
                end=_moment(row["end"]),
                answers=[],
                best_path=row["best_path"],
            )
        words = (row["answer"], row["category"], row["count"], row["probability"], row["scientific_name"])
        latest.answers.append(TimelineAnswer(*words))
    if latest is not None:
        yield latest


def _moment(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _box(row: dict[str, Any]) -> TimelineBox:
    place = (row["x"], row["y"], row["width"], row["height"])
    return TimelineBox(*place, category=row["category"], answer=row["answer"] or row["category"])


class PhotoSources:
    """Finds the photos of a run again.

    Args:
        described: The places that were read, as the journal's header has them: ``/home/me/cards as .``.
    """

    def __init__(self, described: Sequence[str]) -> None:
        self._roots = []
        for words in map(from_table_name, described):
            folder, has_prefix, prefix = words.rpartition(" as ")
            if has_prefix:
                self._roots.append((Path(folder), "" if prefix == "." else prefix))
            else:
                self._roots.append((Path(words.removeprefix("files from ")), ""))

    @property
    def title(self) -> str:
        """The name of the folder that was read, or of the first of several."""
        return table_name(self._roots[0][0].name) if self._roots and self._roots[0][0].name else "Events"

    def find_all(self, names: Sequence[str]) -> dict[str, Path]:
        """The files of these photos that are there."""
        return {name: path for name in names if (path := self.find(name)) is not None}

    def find(self, name: str) -> Path | None:
        """The file that the table calls so; None if it is not there any more, or not below a place that was read."""
        name = from_table_name(name)
        for folder, prefix in self._roots:
            if name.startswith(prefix):
                inside = PurePath(name.removeprefix(prefix))
                path = folder / inside
                if not inside.is_absolute() and ".." not in inside.parts and path.is_file():
                    return path
        return None
