"""Times in the names of files, for cameras and programs that write them nowhere else.

Two forms are known well enough to count always; the others look like times and may be days of upload, so that they
count only where somebody says so (``--time-from name``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath

_Y, _M, _D, _H, _MIN, _S = (
    r"(?P<year>(?:19|20)\d\d)",
    r"(?P<month>\d\d)",
    r"(?P<day>\d\d)",
    r"(?P<hour>\d\d)",
    r"(?P<minute>\d\d)",
    r"(?P<second>\d\d)",
)
_ALWAYS = (
    # Tactacam Reveal: serial, two numbers, month first: 016719001060737-28-4-01062026143715-SYFW00012
    re.compile(rf"\d{{10,20}}-\d+-\d+-{_M}{_D}{_Y}{_H}{_MIN}{_S}-.+"),
    # AddaxAI: cam1_addaxai-20260106-143715
    re.compile(rf".*addaxai-{_Y}{_M}{_D}-{_H}{_MIN}{_S}(?!\d).*", re.IGNORECASE),
)
_ON_REQUEST = (
    # camtrapR: StationA__2009-04-21__00-40-00(1)
    re.compile(rf".*__{_Y}-{_M}-{_D}__{_H}-{_MIN}-{_S}(?!\d).*"),
    # 20251112_100312, AABP 13_20051007_1205, IMG-20251112-100312
    re.compile(rf"(?:.*[^\d])?{_Y}{_M}{_D}[_-]{_H}{_MIN}(?:{_S})?(?!\d).*"),
    # 2025-11-12 10.03.12, 2025-11-12_10-03-12
    re.compile(rf"(?:.*[^\d])?{_Y}-{_M}-{_D}[ _T-]{_H}[.\-_]{_MIN}(?:[.\-_]{_S})?(?!\d).*"),
)
_DAY_ONLY = re.compile(rf"(?:.*[^\d])?{_Y}[-_]?{_M}[-_]?{_D}(?!\d).*")


@dataclass(frozen=True, slots=True)
class NameTime:
    """What a name says.

    Attributes:
        time: The moment; none where only a day is named.
        day: The day alone, as ``YYYY-MM-DD``, where no time goes with it.
    """

    time: datetime | None = None
    day: str = ""


def time_in_name(name: str, *, any_form: bool = False) -> NameTime | None:
    """Find a time in a file's name; folders do not count.

    Args:
        name: The file's name or path, with forward slashes.
        any_form: Whether all common forms count, and not only those that are certain.
    """
    stem = PurePosixPath(name).stem[:300]
    for pattern in (*_ALWAYS, *(_ON_REQUEST if any_form else ())):
        found = pattern.fullmatch(stem)
        moment = _moment(found) if found else None
        if moment is not None:
            return NameTime(moment)
    found = _DAY_ONLY.fullmatch(stem) if any_form else None
    day = _moment(found) if found else None
    return NameTime(day=day.date().isoformat()) if day else None


def _moment(found: re.Match[str]) -> datetime | None:
    parts = {unit: int(digits) for unit, digits in found.groupdict().items() if digits is not None}
    try:
        return datetime(**parts)  # type: ignore[arg-type]
    except ValueError:
        return None
