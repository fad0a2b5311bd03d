"""What is on some memory cards, per deployment, and what somebody should look into before a model runs.

The warnings about the end of a deployment, about many pictures a day and about missing nights are those of the
``check`` of camtraptools.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import time, timedelta
from typing import Any

from animal_classification.data.discovery import FoundPhoto
from animal_classification.field.camera_clock import TimeRules, time_text
from animal_classification.field.card_copies import MOST_OF_A_CARD, Copies, CopyFinder, SharedPictures, find_copies
from animal_classification.field.card_scan import scan_cards
from animal_classification.field.card_tally import PLAUSIBLE, CardTally, Span
from animal_classification.field.deployment import Deployment, Deployments, deployment_folder
from animal_classification.field.deployment_sheet import unmatched_rows
from animal_classification.field.duration import duration_text

SILENT_AT_THE_END = timedelta(days=21)
MANY_A_DAY = 100
ENOUGH_FOR_NIGHTS = 50

COLUMNS = (
    *("deployment", "photos", "videos", "first", "last", "days", "longest_gap_hours", "longest_gap_start", "dateless"),
    *("future", "before_2010", "no_moment", "backwards", "copies", "empty", "unreadable", "night", "cameras"),
    *("other_files", "warnings"),
)


@dataclass(frozen=True, slots=True)
class CardWarning:
    """Something to look into.

    Attributes:
        deployment: Where; empty for what concerns the sheet.
        message: What it is, and what may be the reason.
    """

    deployment: str
    message: str


@dataclass(frozen=True)
class CardsReport:
    """What was found.

    Attributes:
        tallies: By deployment, in the order in which they came.
        copies: What there is twice.
        warnings: What to look into, in the order of the deployments.
    """

    tallies: Mapping[str, CardTally]
    copies: Copies
    warnings: tuple[CardWarning, ...]

    @property
    def files(self) -> int:
        """Photos and videos."""
        return sum(tally.photos + tally.videos for tally in self.tallies.values())

    def rows(self) -> Iterator[dict[str, Any]]:
        """One row a deployment, by ``COLUMNS``."""
        told: dict[str, list[str]] = {}
        for warning in self.warnings:
            told.setdefault(warning.deployment, []).append(warning.message)
        for deployment, tally in self.tallies.items():
            span = tally.span()
            yield {
                "deployment": deployment,
                "photos": tally.photos,
                "videos": tally.videos,
                "first": time_text(span.first) if span else "",
                "last": time_text(span.last) if span else "",
                "days": span.days if span else None,
                "longest_gap_hours": round(span.longest_gap / timedelta(hours=1), 2) if span else None,
                "longest_gap_start": time_text(span.gap_start) if span else "",
                "dateless": tally.dateless,
                "future": tally.future,
                "before_2010": tally.before_2010,
                "no_moment": tally.no_moment,
                "backwards": tally.backwards,
                "copies": self.copies.within.get(deployment, 0) + self._shared(deployment),
                "empty": tally.empty,
                "unreadable": tally.unreadable.total(),
                "night": tally.night,
                "cameras": sorted(tally.cameras),
                "other_files": dict(sorted(tally.others.items())),
                "warnings": told.get(deployment, []),
            }

    def _shared(self, deployment: str) -> int:
        """Photos that another deployment holds as well; of several others, the one with the most."""
        pairs = self.copies.between
        return max((pair.photos for pair in pairs if deployment in (pair.first, pair.second)), default=0)


@dataclass
class CardsCheck:
    """Looks through cards.

    Args:
        rules: Which times count.
        deployments: Where files belong.
        threads: Files that are read at once.
    """

    rules: TimeRules = field(default_factory=TimeRules)
    deployments: Deployments = field(default_factory=Deployments)
    threads: int | None = None

    def run(self, files: Iterable[FoundPhoto], progress: Callable[[int], None] | None = None) -> CardsReport:
        """Look at every file.

        Args:
            files: All files, not only photos, in the order of their names.
            progress: Told how many are done.
        """
        tallies: dict[str, CardTally] = {}
        finder = CopyFinder()
        unlisted: Counter[str] = Counter()
        for file in scan_cards(files, self.rules, threads=self.threads, progress=progress):
            row = self.deployments.row_of(file.name)
            name = row.id if row else deployment_folder(file.name)
            if row is None and file.kind != "other":
                unlisted[name] += 1
            shift = row.shift if row and row.shift else timedelta(0)
            tallies.setdefault(name, CardTally()).add(file, shift, self.rules)
            finder.add(file, name)
        tallies = {name: tally for name, tally in tallies.items() if tally.photos or tally.videos or tally.others}
        copies = find_copies(finder)
        warnings = [
            *(
                CardWarning(name, message)
                for name, tally in tallies.items()
                for message in _warnings(tally, self.deployments.by_id.get(name))
            ),
            *(CardWarning(*told) for told in _copy_warnings(copies, tallies)),
            *(CardWarning(*told) for told in _camera_warnings(tallies, copies)),
            *(CardWarning("", message) for message in self._sheet_warnings(tallies, unlisted)),
        ]
        order = {name: place for place, name in enumerate(tallies)}
        warnings.sort(key=lambda warning: order.get(warning.deployment, len(order)))
        return CardsReport(tallies, copies, tuple(warnings))

    def _sheet_warnings(self, tallies: Mapping[str, CardTally], unlisted: Mapping[str, int]) -> Iterator[str]:
        if not self.deployments.by_id:
            return
        yield from (f"sheet, {line}" for line in unmatched_rows(self.deployments, tallies, unlisted))
        if unlisted:
            files = sum(unlisted.values())
            names = ", ".join(map(repr, list(unlisted)[:3])) + (" …" if len(unlisted) > 3 else "")
            yield f"{counted(files, 'file')} in no deployment of the sheet: {names}"


def counted(number: int, what: str) -> str:
    """A number with its noun.

    >>> counted(1, "photo"), counted(1200, "photo")
    ('1 photo', '1,200 photos')
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _warnings(tally: CardTally, row: Deployment | None) -> Iterator[str]:
    yield from _clock_warnings(tally, row)
    yield from _span_warnings(tally, row)
    if tally.empty:
        yield f"{counted(tally.empty, 'file')} of 0 bytes: a full or failing card"
    for reason, count in tally.unreadable.items():
        yield f"{counted(count, 'file')} cannot be read: {reason}"
    if len(tally.cameras) > 1:
        yield f"photos of {len(tally.cameras)} cameras: {', '.join(sorted(tally.cameras))}"


def _clock_warnings(tally: CardTally, row: Deployment | None) -> Iterator[str]:
    if tally.dateless:
        names = "; if the names hold it: --time-from name" if tally.dateless == tally.photos else ""
        yield f"{counted(tally.dateless, 'photo')} without a time{names}"
    if tally.no_moment:
        yield f"{counted(tally.no_moment, 'file')} with zeros or nonsense for a time: the clock was never set"
    if tally.future:
        yield f"{counted(tally.future, 'file')} from the future: the clock is wrong"
    if tally.before_2010 and not (row and row.start and row.start < PLAUSIBLE):
        why = "the clock began anew (new batteries?)"
        if tally.before_2010 == tally.dated:
            why = "old photos, or a clock that was never set?"
        yield f"{counted(tally.before_2010, 'file')} from before 2010: {why}"
    if tally.first_backwards:
        name, before, after = tally.first_backwards
        times = "once" if tally.backwards == 1 else f"{tally.backwards:,} times, first"
        jump = f"from {before:%Y-%m-%d %H:%M} to {after:%Y-%m-%d %H:%M}"
        yield f"time runs backwards in the order of names: {times} {jump} at {name!r}"


def _span_warnings(tally: CardTally, row: Deployment | None) -> Iterator[str]:
    span = tally.span()
    if span is None:
        return
    end = row.end if row else None
    if end is not None and end - span.last > SILENT_AT_THE_END:
        yield f"no picture in the last {(end - span.last).days} days before its end: batteries or card full?"
    if row is not None:
        yield from _outside(tally, row)
    pictures = tally.photos + tally.videos
    if pictures > MANY_A_DAY * span.days:
        yield f"{pictures / span.days:,.0f} pictures a day: grass in the wind, or a time lapse?"
    if tally.dated >= ENOUGH_FOR_NIGHTS and not tally.night:
        yield f"none of {tally.dated:,} pictures is of the night: the clock may be 12 hours off, or the flash broken"


def _outside(tally: CardTally, row: Deployment) -> Iterator[str]:
    last = None
    if row.end:  # whoever writes a day means all of it: the camera may have been fetched at noon
        last = row.end + (timedelta(days=1) if row.end.time() == time.min else timedelta(minutes=1))
    outside = sum(bool((row.start and taken < row.start) or (last and taken > last)) for taken in tally.times())
    if outside:
        yield f"{counted(outside, 'file')} outside of deploymentStart and deploymentEnd: a wrong clock, or a wrong row?"


def _copy_warnings(copies: Copies, tallies: Mapping[str, CardTally]) -> Iterator[tuple[str, str]]:
    for deployment, count in copies.within.items():
        yield deployment, f"{counted(count, 'picture')} there twice"
    for pair in copies.between:
        fewest = min(tallies[name].photos + tallies[name].videos for name in (pair.first, pair.second))
        yield pair.second, _shared_pictures(pair, copied=pair.photos > MOST_OF_A_CARD * fewest)


def _shared_pictures(pair: SharedPictures, *, copied: bool) -> str:
    same = f"{counted(pair.photos, 'photo')} with the same content as in {pair.first!r}"
    times = ", under other times" if pair.times_differ else ""
    return f"{same}{times}{': the same card, copied twice?' if copied else ''}"


def _camera_warnings(tallies: Mapping[str, CardTally], copies: Copies) -> Iterator[tuple[str, str]]:
    """A camera that was in two places at once; said of each deployment once, and not of copied photos."""
    copied = {(pair.first, pair.second) for pair in copies.between}
    seen: dict[str, list[tuple[str, Span]]] = {}
    for name, tally in tallies.items():
        span = tally.span()
        serial = next(iter(tally.serials), "")
        if span is None or len(tally.serials) != 1:
            continue
        for other, theirs in seen.get(serial, []):
            at_once = span.first <= theirs.last and theirs.first <= span.last
            if at_once and not copied & {(name, other), (other, name)}:
                yield name, f"its camera {serial} was in {other!r} at the same time: a card in the wrong folder?"
                break
        seen.setdefault(serial, []).append((name, span))


def gap_text(gap: timedelta) -> str:
    """The longest gap for a person; nothing for a single picture.

    >>> gap_text(timedelta(days=2, hours=3, minutes=4)), gap_text(timedelta(days=2912, hours=22))
    ('2d3h', '2,912d')
    """
    if gap >= timedelta(days=10):
        return f"{gap.days:,}d"
    return duration_text(gap) if gap else ""
