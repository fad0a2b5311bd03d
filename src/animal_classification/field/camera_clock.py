"""Times by a camera's clock: how they are written, which cannot be, and how a wrong clock is corrected.

All times here are naive: a camera's clock knows no zone. ``time_zones`` adds offsets where an export wants them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from animal_classification.errors import UsageError
from animal_classification.field.duration import parse_duration

EARLIEST = datetime(2000, 1, 1)
"""A camera whose time is before this one has lost it."""

_CAMERA_TIME = re.compile(
    r"(\d{4})[:\-/.](\d{1,2})[:\-/.](\d{1,2})[ T]+(\d{1,2})[:.](\d{1,2})(?:[:.](\d{1,2})(?:[.,](\d{1,9}))?)?"
    r"\s*(?:Z|[+-]\d{2}:?\d{2})?"
)
_OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})")
_MAX_HOURS = 14  # of an offset; the Line Islands


def parse_time(text: str) -> datetime | None:
    """Read ``YYYY:MM:DD hh:mm:ss``, also with ``-``, ``/``, ``.`` or ``T``; None if it is no moment of the calendar.

    >>> parse_time("2021:04:11 20:43:09"), parse_time("2021:13:11 20:43:09"), parse_time("0000:00:00 00:00:00")
    (datetime.datetime(2021, 4, 11, 20, 43, 9), None, None)
    """
    found = _CAMERA_TIME.fullmatch(text.strip())
    if found is None:
        return None
    *parts, fraction = found.groups()
    try:
        moment = datetime(*(int(part or 0) for part in parts))  # type: ignore[arg-type]
    except ValueError:
        return None
    return moment.replace(microsecond=_milliseconds(fraction or ""))


def with_subseconds(moment: datetime, digits: str) -> datetime:
    """A time with the fraction of a second that EXIF keeps in another tag, to the millisecond."""
    return moment.replace(microsecond=_milliseconds(digits)) if digits.isdecimal() else moment


def _milliseconds(digits: str) -> int:
    return int(digits[:3].ljust(3, "0")) * 1000 if digits else 0


def time_text(moment: datetime | None) -> str:
    """ISO 8601 without an offset, with milliseconds where there are any; empty for none."""
    if moment is None:
        return ""
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds")


def parse_offset(text: str) -> str:
    """An offset from UTC as ``+hh:mm``; empty if it is none.

    >>> parse_offset("+0200"), parse_offset("-08:00"), parse_offset("summer")
    ('+02:00', '-08:00', '')
    """
    found = _OFFSET.fullmatch(text.strip())
    if found is None or int(found[3]) >= 60 or int(found[2]) * 60 + int(found[3]) > _MAX_HOURS * 60:
        return ""
    return f"{found[1]}{found[2]}:{found[3]}"


def hours_offset(hours: int | None) -> str:
    """The offset in EXIF's ``TimeZoneOffset``, in hours.

    0 is none: Reconyx writes it where nobody has set a zone (the Camtrap DP example's cameras in Belgium do).
    """
    if not hours or abs(hours) > _MAX_HOURS:
        return ""
    return f"{'+' if hours > 0 else '-'}{abs(hours):02d}:00"


@dataclass(frozen=True, slots=True)
class TimeRules:
    """Which times count.

    Attributes:
        latest: Times after this one are of a wrong clock.
        from_names: Whether a name of any common form counts as a time, where a file has none of its own.
        utc_containers: Whether a video's creation time without an offset is UTC, as phones write it.
    """

    latest: datetime = field(default_factory=lambda: datetime.now() + timedelta(days=1))
    from_names: bool = False
    utc_containers: bool = False

    def admits(self, moment: datetime) -> bool:
        """Whether a camera can have taken a photo at that time."""
        return EARLIEST <= moment <= self.latest


@dataclass(frozen=True, slots=True)
class ClockShifts:
    """What to add to cameras' times so that they are right.

    Attributes:
        everywhere: For deployments that are not named.
        by_deployment: For those that are.
    """

    everywhere: timedelta | None = None
    by_deployment: Mapping[str, timedelta] = field(default_factory=dict)

    @classmethod
    def parse(cls, words: Iterable[str]) -> ClockShifts:
        """Read ``[DEPLOYMENT=]±DURATION``, as often as it is given.

        Raises:
            UsageError: A duration is none, or one deployment has two.
        """
        everywhere: timedelta | None = None
        named: dict[str, timedelta] = {}
        for word in words:
            deployment, equals, typed = word.rpartition("=")
            shift = parse_duration(typed, f"--shift {word}")
            if (deployment in named) if equals else (everywhere is not None):
                raise UsageError(
                    f"--shift {word}: {repr(deployment) if equals else 'the same'} is given twice; keep one"
                )
            if equals:
                named[deployment] = shift
            else:
                everywhere = shift
        return cls(everywhere, named)

    def of(self, deployment: str, sheet: timedelta | None = None) -> timedelta:
        """What to add for one deployment: what is said of it by name, else by its sheet, else for all.

        Args:
            deployment: Its id.
            sheet: The difference of ``actualTime`` and ``cameraTime`` in the deployment sheet.
        """
        for shift in (self.by_deployment.get(deployment), sheet, self.everywhere):
            if shift is not None:
                return shift
        return timedelta(0)

    def unused(self, deployments: Iterable[str]) -> list[str]:
        """Named deployments that are none of these: a mistyped name must not pass for a corrected clock."""
        return sorted(set(self.by_deployment) - set(deployments))
