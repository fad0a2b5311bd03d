"""Bursts and events: which files of one deployment were taken in one go, and in one visit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Gaps:
    """The longest pauses, each of which may still be reached.

    Attributes:
        burst: Within a burst.
        event: Within an event; zero makes every burst an event.
    """

    burst: timedelta = timedelta(seconds=30)
    event: timedelta = timedelta(minutes=30)

    @property
    def within_burst(self) -> timedelta:
        """A burst is never longer than the event that it is a part of."""
        return min(self.burst, self.event) if self.event else self.burst


@dataclass(frozen=True, slots=True)
class TimedFile:
    """What decides where a file belongs.

    Attributes:
        path: Its name in the table; no two are equal.
        time: By the camera's clock, corrected; None for a file without a time.
        event_number: The camera's own count of triggers.
        sequence: Number in the trigger's sequence, from 1.
        is_video: A video is a burst of its own: its frames are one.
    """

    path: str
    time: datetime | None
    event_number: int | None = None
    sequence: int | None = None
    is_video: bool = False


@dataclass(frozen=True, slots=True)
class EventPlace:
    """Where a file belongs.

    Attributes:
        event: ``DEPLOYMENT#3``: the third event of its deployment.
        burst: ``DEPLOYMENT#3.2``: the second burst of that.
    """

    event: str
    burst: str


def group_into_events(deployment: str, files: Iterable[TimedFile], gaps: Gaps = Gaps()) -> dict[str, EventPlace]:
    """Divide the files of one deployment into events and bursts.

    Every file is in exactly one of each; the order in which they come changes nothing. Files are sorted by time, then
    by path. A file without a time is an event of its own, after the others.

    Args:
        deployment: Its id, with which the names of events begin.
        files: All files of it.
        gaps: The longest pauses.

    Returns:
        The place of each file by its path, in the order in which they were taken.
    """
    every = sorted(files, key=lambda file: file.path)
    dated = sorted((file for file in every if file.time is not None), key=lambda file: (file.time, file.path))
    places: dict[str, EventPlace] = {}
    event = burst = 0
    for before, file in pairwise([None, *dated]):
        assert file is not None
        goes_on = before is not None and _same_burst(before, file, gaps)
        if before is None or not (goes_on or _same_event(before, file, gaps)):
            event, burst = event + 1, 0
        burst += not goes_on
        places[file.path] = _place(deployment, event, burst)
    for file in every:
        if file.time is None:
            event += 1
            places[file.path] = _place(deployment, event, 1)
    return places


def _place(deployment: str, event: int, burst: int) -> EventPlace:
    return EventPlace(f"{deployment}#{event}", f"{deployment}#{event}.{burst}")


def _pause(before: TimedFile, file: TimedFile) -> timedelta:
    assert before.time is not None
    assert file.time is not None
    return file.time - before.time


def _same_event(before: TimedFile, file: TimedFile, gaps: Gaps) -> bool:
    return bool(gaps.event) and _pause(before, file) <= gaps.event


def _same_burst(before: TimedFile, file: TimedFile, gaps: Gaps) -> bool:
    """By the pause, unless the camera counts: its number of the trigger joins, a sequence that begins again splits."""
    if before.is_video or file.is_video:
        return False
    # A camera that takes one photo a trigger calls each the first: only a sequence that got further can begin again.
    if file.sequence == 1 and (before.sequence or 0) > 1:
        return False
    counted = file.event_number is not None and file.event_number == before.event_number
    # The camera's count starts again with new batteries, so that an equal number means nothing after a long pause.
    return _pause(before, file) <= (max(gaps.event, gaps.within_burst) if counted else gaps.within_burst)
