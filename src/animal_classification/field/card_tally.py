"""What one deployment's files add up to, counted as they come by, in the order of their names."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from animal_classification.field.camera_clock import EARLIEST, TimeRules, parse_time
from animal_classification.field.card_scan import CardFile

PLAUSIBLE = datetime(2010, 1, 1)
"""Earlier times are those of a camera that lost its clock, unless all of a deployment's are."""
NIGHT = (21, 5)
"""Hours by the clock between which a picture counts as one of the night."""
_BACKWARDS = timedelta(minutes=1)  # cameras finish a picture of a series a little later than the next one
_MAX_CAMERAS = 8


@dataclass
class CardTally:
    """The sums of one deployment; 8 bytes for each file with a time, and nothing else that grows.

    Attributes:
        photos: Files that end like a photo.
        videos: Files that end like a video.
        others: All other files, by their ending.
        empty: Photos and videos of 0 bytes.
        unreadable: Photos and videos that the system refuses to read, with the reason of one of them.
        dateless: Photos without any time, but for those of 0 bytes.
        future: Times after tomorrow.
        before_2010: Times before 2010.
        no_moment: What stands where the time should be, and is none: zeros, month 13.
        backwards: How often a photo is more than a minute older than the one before it by name.
        first_backwards: The first of these: its name, the time before it, and its own.
        night: Photos taken between 21:00 and 5:00.
        cameras: Makes, models and serial numbers that were seen.
        serials: The serial numbers among them.
    """

    photos: int = 0
    videos: int = 0
    others: Counter[str] = field(default_factory=Counter)
    empty: int = 0
    unreadable: Counter[str] = field(default_factory=Counter)
    dateless: int = 0
    future: int = 0
    before_2010: int = 0
    no_moment: int = 0
    backwards: int = 0
    first_backwards: tuple[str, datetime, datetime] | None = None
    night: int = 0
    cameras: set[str] = field(default_factory=set)
    serials: set[str] = field(default_factory=set)
    _seconds: array[int] = field(default_factory=lambda: array("q"))
    _before: datetime | None = None

    def add(self, file: CardFile, shift: timedelta, rules: TimeRules) -> None:
        """Count one file.

        Args:
            file: The next by name.
            shift: What the deployment sheet adds to its times.
            rules: Which times count.
        """
        if file.kind == "other":
            self.others[file.ending] += 1
            return
        if file.kind == "photo":
            self.photos += 1
        else:
            self.videos += 1
        if file.problem:
            self.unreadable[file.problem] += 1
        elif not file.size:
            self.empty += 1
        facts = file.facts.shifted(shift, rules)
        camera = " ".join(word for word in (facts.make, facts.model_of_camera, facts.serial) if word)
        if camera and len(self.cameras) < _MAX_CAMERAS:
            self.cameras.add(camera)
            self.serials |= {facts.serial} - {""}
        if facts.time is not None:
            self._take_time(facts.time, file)
        elif facts.time_source == "bad":
            self._take_bad(facts.camera_time, rules)
        elif file.kind == "photo" and file.size:
            self.dateless += 1

    def _take_time(self, time: datetime, file: CardFile) -> None:
        self._seconds.append(int((time - EARLIEST).total_seconds()))
        self.before_2010 += time < PLAUSIBLE
        self.night += file.kind == "photo" and (time.hour >= NIGHT[0] or time.hour < NIGHT[1])
        if self._before is not None and time < self._before - _BACKWARDS:
            self.backwards += 1
            self.first_backwards = self.first_backwards or (file.name, self._before, time)
        self._before = time

    def _take_bad(self, said: str, rules: TimeRules) -> None:
        moment = parse_time(said)
        if moment is None:
            self.no_moment += 1
        elif moment > rules.latest:
            self.future += 1
        else:
            self.before_2010 += 1

    @property
    def dated(self) -> int:
        """Files with a time."""
        return len(self._seconds)

    def times(self) -> list[datetime]:
        """The times, in order; without those before 2010 if there are later ones, because a clock began anew there."""
        moments = [EARLIEST + timedelta(seconds=seconds) for seconds in sorted(self._seconds)]
        later = [moment for moment in moments if moment >= PLAUSIBLE]
        return later or moments

    def span(self) -> Span | None:
        """From the first to the last time; None where there is none."""
        times = self.times()
        if not times:
            return None
        gap, start = max(((after - before, before) for before, after in pairwise(times)), default=(timedelta(0), None))
        return Span(times[0], times[-1], gap, start)


@dataclass(frozen=True, slots=True)
class Span:
    """The time that a deployment covers.

    Attributes:
        first: Time of the first file.
        last: Time of the last.
        longest_gap: The longest pause between two.
        gap_start: When that began; None with a single file.
    """

    first: datetime
    last: datetime
    longest_gap: timedelta
    gap_start: datetime | None

    @property
    def days(self) -> int:
        """Days of the calendar, the first and the last included."""
        return (self.last.date() - self.first.date()).days + 1
