"""Periods of time as people write them."""

from __future__ import annotations

from animal_classification.errors import UsageError

_UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def seconds_of(text: str) -> float:
    """Seconds of a period such as ``24h``.

    >>> seconds_of("24h")
    86400.0

    Raises:
        UsageError: It is no such period.
    """
    number, unit = text.strip()[:-1], text.strip()[-1:]
    try:
        seconds = float(number) * _UNITS[unit]
    except (ValueError, KeyError):
        seconds = 0.0
    if not 60 <= seconds <= 9999 * _UNITS["w"]:
        raise UsageError(f"a time is a number and m, h, d or w, from 1m to 9999w, such as 24h; not {text!r}")
    return seconds
