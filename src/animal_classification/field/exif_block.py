"""The few EXIF tags that a camera trap is known by, read from a photo's bytes.

Pillow's reader keeps every value of every tag: 65,000 tags may each name the same megabyte, and it warns where a block
is damaged, which no thread can silence for itself. Here one pass looks at the wanted tags only; whatever is wrong with
the rest, nothing is raised. The layout is TIFF 6.0 as in Exif 2.32, section 4.6.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from animal_classification.field.plain_text import plain_text

MAX_VALUE = 65_535  # bytes; a JPEG cannot hold more in one block
_MAX_ENTRIES = 1000  # of a directory; cameras write fewer than a hundred
_MAX_PARTS = 10_000  # segments of a JPEG, chunks of a PNG
_SEARCHED = 1 << 20  # bytes of a HEIC or AVIF in which the block is looked for

MAKE, MODEL, DATE_TIME = 0x010F, 0x0110, 0x0132
DATE_TIME_ORIGINAL, DATE_TIME_DIGITIZED = 0x9003, 0x9004
OFFSET_TIME_ORIGINAL, SUBSECOND_ORIGINAL = 0x9011, 0x9291
TIME_ZONE_OFFSET, MAKER_NOTE, BODY_SERIAL_NUMBER = 0x882A, 0x927C, 0xA431
AMBIENT_TEMPERATURE = 0x9400
LATITUDE_REFERENCE, LATITUDE, LONGITUDE_REFERENCE, LONGITUDE = 1, 2, 3, 4

_EXIF_DIRECTORY, _GPS_DIRECTORY = 0x8769, 0x8825
# fmt: off
_WANTED = frozenset({
    MAKE, MODEL, DATE_TIME, DATE_TIME_ORIGINAL, DATE_TIME_DIGITIZED, OFFSET_TIME_ORIGINAL, SUBSECOND_ORIGINAL,
    TIME_ZONE_OFFSET, MAKER_NOTE, BODY_SERIAL_NUMBER, AMBIENT_TEMPERATURE, _EXIF_DIRECTORY, _GPS_DIRECTORY,
})
# fmt: on
_WANTED_GPS = frozenset({LATITUDE_REFERENCE, LATITUDE, LONGITUDE_REFERENCE, LONGITUDE})
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8}  # bytes, by type
_INTEGERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}
_RATIONALS = {5: "I", 10: "i"}
_TIFF_HEADS = (b"II*\0", b"MM\0*")
_TIFF_IN_BOXES = re.compile(rb"II\*\0\x08\0\0\0|MM\0\*\0\0\0\x08")


@dataclass(frozen=True, slots=True)
class Entry:
    """One tag as it is stored: its EXIF type, and its bytes."""

    kind: int
    data: bytes


@dataclass(frozen=True, slots=True)
class ExifBlock:
    """The wanted tags of a photo; every question has an answer, also about a damaged or missing block.

    Attributes:
        order: ``<`` or ``>``, as for ``struct``.
        tags: Of the first and the Exif directory.
        gps: Of the GPS directory.
    """

    order: str = "<"
    tags: Mapping[int, Entry] = field(default_factory=dict)
    gps: Mapping[int, Entry] = field(default_factory=dict)

    def text(self, tag: int) -> str:
        """A tag as text up to its first NUL, without blanks around it; empty where there is none."""
        entry = self.tags.get(tag)
        return plain_text(entry.data) if entry else ""

    def raw(self, tag: int) -> bytes:
        """The bytes of a tag."""
        entry = self.tags.get(tag)
        return entry.data if entry else b""

    def integer(self, tag: int) -> int | None:
        """The first number of a tag of whole numbers."""
        entry = self.tags.get(tag)
        if entry is None or entry.kind not in _INTEGERS or len(entry.data) < _SIZES[entry.kind]:
            return None
        return int(struct.unpack_from(self.order + _INTEGERS[entry.kind], entry.data)[0])

    def number(self, tag: int) -> float | None:
        """The first number of a tag of fractions."""
        numbers = self._fractions(self.tags.get(tag))
        return numbers[0] if numbers else None

    def gps_text(self, tag: int) -> str:
        """A tag of the GPS directory as text."""
        entry = self.gps.get(tag)
        return plain_text(entry.data) if entry else ""

    def gps_numbers(self, tag: int) -> tuple[float, ...]:
        """The numbers of a tag of the GPS directory; none if one of them is no number."""
        return self._fractions(self.gps.get(tag))

    def _fractions(self, entry: Entry | None) -> tuple[float, ...]:
        if entry is None or entry.kind not in _RATIONALS:
            return ()
        count = min(len(entry.data) // 8, 8)
        parts = struct.unpack_from(f"{self.order}{2 * count}{_RATIONALS[entry.kind]}", entry.data)
        if 0 in parts[1::2]:
            return ()
        return tuple(over / under for over, under in zip(parts[::2], parts[1::2], strict=True))


def read_exif(data: bytes) -> ExifBlock:
    """Read the wanted tags of a photo.

    Args:
        data: The whole file, or its beginning: of a JPEG, as far as its EXIF reaches.
    """
    block = exif_bytes(data)
    if block[:4] not in _TIFF_HEADS:
        return ExifBlock()
    order = "<" if block[:2] == b"II" else ">"
    try:
        tags = _directory(block, order, struct.unpack_from(order + "I", block, 4)[0], _WANTED)
    except struct.error:
        return ExifBlock()
    gps: dict[int, Entry] = {}
    # A directory that is not where it is said to be takes nothing away from the others.
    for tag, wanted, into in ((_EXIF_DIRECTORY, _WANTED, tags), (_GPS_DIRECTORY, _WANTED_GPS, gps)):
        pointer = tags.get(tag)
        if pointer is None or pointer.kind not in (4, 9, 13) or len(pointer.data) < 4:
            continue
        for found, entry in _directory(block, order, struct.unpack_from(order + "I", pointer.data)[0], wanted).items():
            into.setdefault(found, entry)
    return ExifBlock(order, tags, gps)


def _directory(block: bytes, order: str, start: int, wanted: frozenset[int]) -> dict[int, Entry]:
    """The wanted entries of one directory; those that lie outside of the block are left out."""
    found: dict[int, Entry] = {}
    if start + 2 > len(block):
        return found
    (count,) = struct.unpack_from(order + "H", block, start)
    for at in range(start + 2, min(start + 2 + 12 * min(count, _MAX_ENTRIES), len(block) - 11), 12):
        tag, kind, number = struct.unpack_from(order + "HHI", block, at)
        size = number * _SIZES.get(kind, 4)
        if tag not in wanted or tag in found or size > MAX_VALUE:
            continue
        place = at + 8 if size <= 4 else struct.unpack_from(order + "I", block, at + 8)[0]
        if place + size <= len(block):
            found[tag] = Entry(kind, block[place : place + size])
    return found


def exif_bytes(data: bytes) -> bytes:
    """The EXIF block of a JPEG, PNG, WebP, TIFF, HEIC or AVIF as TIFF; empty where none is found."""
    block = b""
    try:
        if data[:2] == b"\xff\xd8":
            block = _in_jpeg(data)
        elif data[:8] == b"\x89PNG\r\n\x1a\n":
            block = _in_chunks(data, 8, ">", b"eXIf", 12)
        elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            block = _in_chunks(data, 12, "<", b"EXIF", 8).removeprefix(b"Exif\0\0")
        elif data[:4] in _TIFF_HEADS:
            block = data
        elif data[4:8] == b"ftyp":
            found = _TIFF_IN_BOXES.search(data, 0, _SEARCHED)
            block = data[found.start() : found.start() + MAX_VALUE] if found else b""
    except struct.error:  # cut short
        pass
    return block


def _in_jpeg(data: bytes) -> bytes:
    at = 2
    for _ in range(_MAX_PARTS):
        at = data.find(b"\xff", at)
        if at < 0 or at + 4 > len(data):
            break
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
        elif marker in (0xD9, 0xDA):  # the pixels, before which EXIF has to come
            break
        elif marker < 0xC0 or 0xD0 <= marker <= 0xD8:  # markers without a length
            at += 2
        else:
            (length,) = struct.unpack_from(">H", data, at + 2)
            if marker == 0xE1 and data[at + 4 : at + 10] == b"Exif\0\0":
                return data[at + 10 : at + 2 + length]
            at += 2 + length
    return b""


def _in_chunks(data: bytes, at: int, order: str, wanted: bytes, around: int) -> bytes:
    """A part of a PNG (length, name, content, sum) or a RIFF file (name, length, content, padding)."""
    for _ in range(_MAX_PARTS):
        length = struct.unpack_from(order + "I", data, at if order == ">" else at + 4)[0]
        name = data[at + 4 : at + 8] if order == ">" else data[at : at + 4]
        if name == wanted:
            return data[at + 8 : at + 8 + min(length, MAX_VALUE)]
        at += around + length + (length % 2 if order == "<" else 0)
    return b""
