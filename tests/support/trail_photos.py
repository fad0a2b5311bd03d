"""Small JPEGs with the EXIF that trail cameras write, Reconyx notes included."""

from __future__ import annotations

import io
import random
import struct
from datetime import datetime
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.ExifTags import IFD

from animal_classification.field.camera_clock import TimeRules

RULES = TimeRules(latest=datetime(2027, 1, 1))
"""Independent of when the tests run."""
NAMES = TimeRules(latest=datetime(2027, 1, 1), from_names=True)


def jpeg(
    tags: dict[int, Any] | None = None,
    *,
    exif: dict[int, Any] | None = None,
    gps: dict[int, Any] | None = None,
    picture: str = "grass",
    format: str = "JPEG",
) -> bytes:
    """A photo with tags of the first directory, of the Exif directory and of the GPS directory.

    The pixels are noise that depends on ``picture``.
    """
    block = Image.Exif()
    block.update(tags or {})
    if exif:
        block.get_ifd(IFD.Exif).update(exif)
    if gps:
        block.get_ifd(IFD.GPSInfo).update(gps)
    stream = io.BytesIO()
    Image.frombytes("RGB", (16, 12), random.Random(picture).randbytes(576)).save(stream, format, exif=block.tobytes())
    return stream.getvalue()


def taken(moment: datetime, picture: str = "grass", **exif: Any) -> bytes:
    """A photo of that time; further tags of the Exif directory as ``x9291="5"``."""
    tags = {int(tag[1:], 16): value for tag, value in exif.items()}
    return jpeg(exif={0x9003: f"{moment:%Y:%m:%d %H:%M:%S}", **tags}, picture=picture)


def hyperfire(moment: datetime, *, event: int = 7, sequence: int = 4, length: int = 5, celsius: int = -5) -> bytes:
    """A MakerNote of the HyperFire layout."""
    note = bytearray(0x90)
    note[:2] = b"\x01\xf1"
    struct.pack_into("<5H", note, 0x0C, ord("M"), sequence, length, event >> 16, event & 0xFFFF)
    parts = (moment.second, moment.minute, moment.hour, moment.month, moment.day, moment.year)
    struct.pack_into("<6H", note, 0x16, *parts)
    struct.pack_into("<2h", note, 0x26, round(celsius * 9 / 5 + 32), celsius)
    note[0x2A:0x48] = "H500DE01120343".encode("utf-16-le").ljust(30, b"\0")
    note[0x56:0x6C] = b"STATION 7".ljust(22, b"\0")
    return bytes(note)


def put(folder: Path, name: str, data: bytes) -> Path:
    """A file at a path below a folder."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
