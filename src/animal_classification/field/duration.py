"""Lengths of time as people type them: ``30s``, ``30m``, ``-1h30m``, ``+365d``."""

from __future__ import annotations

import re
from datetime import timedelta

from animal_classification.errors import UsageError

_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_WHOLE = re.compile(r"([+-]?)((?:\d+(?:\.\d+)?[wdhms])+)", re.IGNORECASE)
_PART = re.compile(r"(\d+(?:\.\d+)?)([wdhms])", re.IGNORECASE)
_LONGEST = timedelta(days=36_525)


def parse_duration(text: str, where: str) -> timedelta:
    """Read a length of time; ``0`` needs no unit.

    Args:
        text: As typed.
        where: What it is for, to begin a message with.

    Raises:
        UsageError: It is none, or longer than a century.

    Example:
        >>> parse_duration("1h30m", "--event-gap"), parse_duration("-45s", "--shift")
        (datetime.timedelta(seconds=5400), datetime.timedelta(days=-1, seconds=86355))
    """
    typed = text.strip().replace("−", "-")  # a minus sign that word processors put in
    if typed in ("0", "+0", "-0"):
        return timedelta(0)
    found = _WHOLE.fullmatch(typed)
    if found is None:
        raise UsageError(f"{where}: {text!r} is no duration; write 45s, 30m, 12h, 365d or 1h30m")
    length = timedelta()
    try:
        for number, unit in _PART.findall(found[2]):
            length += timedelta(**{_UNITS[unit.lower()]: float(number)})
    except OverflowError:
        length = timedelta.max
    if length > _LONGEST:
        raise UsageError(f"{where}: {text!r} is more than a century")
    return -length if found[1] == "-" else length


def duration_text(length: timedelta) -> str:
    """A length of time in its two largest units, for a person.

    >>> duration_text(timedelta(seconds=5400)), duration_text(timedelta(days=21, hours=3, minutes=2))
    ('1h30m', '21d3h')
    """
    seconds = int(abs(length.total_seconds()))
    parts = []
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return ("-" if length < timedelta(0) else "") + ("".join(parts[:2]) or "0s")
