"""When a video was taken, by its container's header: what can be told without decoding a frame.

MP4 and MOV have a creation time in ``moov/mvhd`` (ISO/IEC 14496-12, 8.2.2), in seconds since 1904; trail cameras write
their local time there, phones UTC. AVI has the text ``IDIT`` (Microsoft's RIFF registry). Other containers say nothing
that trail cameras fill.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from datetime import datetime, timedelta

from animal_classification.field.camera_clock import parse_time, time_text

ReadPart = Callable[[int, int], bytes]
"""Gives so many bytes of a file from a place on; fewer, or none, where it ends."""

_EPOCH = datetime(1904, 1, 1)
_MAX_BOXES = 200  # on one level; files have about five
_AVI_HEAD = 64 << 10
# SUN APR 11 20:43:09 2021; the first letters of English months, whatever the language of this machine.
_CTIME = re.compile(r"[A-Z]{3} ([A-Z]{3}) +(\d{1,2}) (\d\d):(\d\d):(\d\d) (\d{4})", re.IGNORECASE)
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


def video_creation_time(read: ReadPart) -> str:
    """The creation time as text, as ``photo_facts.video_facts`` takes it; empty where there is none.

    Args:
        read: Gives parts of the file.
    """
    start = read(0, 12)
    try:
        if start[:4] == b"RIFF" and start[8:] == b"AVI ":
            return _avi_time(read(0, _AVI_HEAD))
        if start[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            return _mp4_time(read)
    except (struct.error, OverflowError):  # cut short, or later than year 9999
        pass
    return ""


def _avi_time(head: bytes) -> str:
    at = head.find(b"IDIT")
    if at < 0:
        return ""
    (length,) = struct.unpack_from("<I", head, at + 4)
    text = head[at + 8 : at + 8 + min(length, 64)].decode("latin-1").partition("\0")[0].strip()
    found = _CTIME.fullmatch(text)
    if found is None:
        moment = parse_time(text)
        return time_text(moment) if moment else text
    month = found[1].upper()
    if month not in _MONTHS:
        return text
    return f"{found[6]}-{_MONTHS.index(month) + 1:02d}-{int(found[2]):02d}T{found[3]}:{found[4]}:{found[5]}"


def _mp4_time(read: ReadPart) -> str:
    moov = _find_box(read, 0, None, b"moov")
    header = _find_box(read, *moov, b"mvhd") if moov else None
    if header is None:
        return ""
    data = read(header[0], 12)
    seconds = struct.unpack_from(">Q" if data[0] == 1 else ">I", data, 4)[0] if data else 0
    return time_text(_EPOCH + timedelta(seconds=seconds)) if seconds else ""


def _find_box(read: ReadPart, at: int, end: int | None, wanted: bytes) -> tuple[int, int] | None:
    """Where the content of a box begins and ends, among those between two places of the file."""
    for _ in range(_MAX_BOXES):
        head = read(at, 16)
        if len(head) < 8 or (end is not None and at >= end):
            return None
        size, kind = struct.unpack_from(">I4s", head)
        begin = at + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", head, 8)
            begin = at + 16
        if kind == wanted:
            return begin, at + size
        if size < begin - at:  # up to the end of the file, or damaged
            return None
        at += size
    return None
