"""Offsets from UTC, added to cameras' times where an export wants them.

A wall time that does not exist (clocks go forward) or exists twice (they go back) gets the offset before the change: it
is counted, and never left out. A camera's clock rarely follows the change; whoever knows that gives a fixed offset.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, available_timezones

from animal_classification.common.suggest import nearest
from animal_classification.errors import UsageError
from animal_classification.field.camera_clock import parse_offset


def parse_zone(text: str, where: str) -> tzinfo:
    """An IANA name or a fixed offset as a zone.

    Args:
        text: ``Africa/Nairobi``, ``UTC``, ``+02:00``.
        where: What it is for, to begin a message with.

    Raises:
        UsageError: It is neither.
    """
    word = text.strip().replace("−", "-")
    if word in ("UTC", "Z"):
        return UTC
    offset = parse_offset(word)
    if offset:
        hours, minutes = int(offset[1:3]), int(offset[4:6])
        shift = timedelta(hours=hours, minutes=minutes)
        return timezone(-shift if offset[0] == "-" else shift)
    # The list of names: ZoneInfo opens files by name, and any word would be a path.
    names = available_timezones()
    if re.fullmatch(r"[A-Za-z0-9_+\-/]+", word) and word in names:
        return ZoneInfo(word)
    hint = nearest(word, names) if names else "; this machine has no list of zones, so give an offset such as +02:00"
    raise UsageError(f"{where}: {text!r} is no time zone; write a name such as Africa/Nairobi or an offset{hint}")


@dataclass
class ZonedTimes:
    """Adds offsets, and counts the times that the clock's change makes doubtful.

    Attributes:
        doubtful: How many times were skipped or repeated by a change of clocks: ``skipped``, ``repeated``.
    """

    doubtful: Counter[str] = field(default_factory=Counter)

    def zoned(self, moment: datetime, *, offset: str = "", zone: tzinfo | None = None) -> str:
        """A time in ISO 8601 with an offset, without fractions of a second.

        Args:
            moment: By the camera's clock.
            offset: The file's own; it comes first.
            zone: The deployment's, or the one for all; without any, the time stays without an offset.
        """
        if offset:
            return f"{moment:%Y-%m-%dT%H:%M:%S}{offset}"
        if zone is None:
            return f"{moment:%Y-%m-%dT%H:%M:%S}"
        before, after = (moment.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
        if before is None or after is None:
            return f"{moment:%Y-%m-%dT%H:%M:%S}"
        # In a gap, fold 0 has the offset before the change as well (PEP 495).
        if before != after:
            self.doubtful["skipped" if before < after else "repeated"] += 1
        return f"{moment:%Y-%m-%dT%H:%M:%S}{_offset_text(before)}"


def _offset_text(offset: timedelta) -> str:
    minutes = round(offset.total_seconds() / 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
