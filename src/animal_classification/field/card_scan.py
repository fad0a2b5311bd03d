"""Every file of some memory cards, looked at once: what it is, when it was taken, and a fingerprint of its picture."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from animal_classification.common.parallel import ordered_map
from animal_classification.data.discovery import FoundPhoto
from animal_classification.data.other_files import kind_of
from animal_classification.errors import ImageError
from animal_classification.field.camera_clock import TimeRules
from animal_classification.field.photo_facts import HEAD_BYTES, PhotoFacts, photo_facts, read_video_facts
from animal_classification.imaging import is_photo_name
from animal_classification.imaging.bounded_read import read_head, read_tail

FingerPrint = tuple[int, bytes]
_COMPARED = 16 << 10  # bytes from where the pixels begin; almost no camera fills them alike twice
_TAIL = 64 << 10
_SMALLEST = 128  # bytes; what is smaller is no picture, and equal by chance
_START_OF_SCAN = b"\xff\xda"


@dataclass(frozen=True, slots=True)
class CardFile:
    """A file on a card.

    Attributes:
        name: As the tables name it.
        path: Where it is.
        kind: What it is by its ending.
        size: In bytes.
        facts: Of a photo or video.
        fingerprint: Of its content; None for other files, and for what is too small to be a picture.
        problem: Why it could not be read; empty if it could.
    """

    name: str
    path: str
    kind: Literal["photo", "video", "other"]
    size: int
    facts: PhotoFacts
    fingerprint: FingerPrint | None = None
    problem: str = ""

    @property
    def ending(self) -> str:
        """Of the name, in lower case: ``.txt``; ``none`` where there is none."""
        return PurePosixPath(self.name).suffix.lower() or "none"


def scan_cards(
    files: Iterable[FoundPhoto],
    rules: TimeRules,
    *,
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Generator[CardFile, None, None]:
    """Look at every file, in order; on several threads, because cards are slow to answer.

    Args:
        files: In the order of their names.
        rules: Which times count.
        threads: Files that are read at once; the processors that there are by default.
        progress: Told how many are done.
    """

    def look(chunk: Sequence[FoundPhoto]) -> list[CardFile]:
        return [_look(file, rules) for file in chunk]

    return ordered_map(look, files, threads=threads, progress=progress)


def _look(file: FoundPhoto, rules: TimeRules) -> CardFile:
    kind = _kind(file.name)
    if kind == "other":
        return CardFile(file.name, file.path, kind, 0, PhotoFacts())
    try:
        head, size = read_head(file.path, HEAD_BYTES)
    except ImageError as error:
        return CardFile(file.name, file.path, kind, 0, photo_facts(b"", file.name, rules), problem=error.reason)
    facts = photo_facts(head, file.name, rules) if kind == "photo" else read_video_facts(file.path, file.name, rules)
    return CardFile(file.name, file.path, kind, size, facts, fingerprint(head, size) if size >= _SMALLEST else None)


def _kind(name: str) -> Literal["photo", "video", "other"]:
    if is_photo_name(name):
        return "photo"
    return "video" if kind_of(name) == "video" else "other"


def fingerprint(head: bytes, size: int) -> FingerPrint:
    """A fingerprint of a file's picture, from its beginning; of a JPEG without what EXIF and other headers say.

    A copy keeps its picture when a program writes another time or a keyword into it. Files with equal fingerprints are
    most likely copies; ``end_fingerprint`` makes it certain enough.

    Args:
        head: The first bytes of the file.
        size: Of the whole file.
    """
    start = _pixels_at(head) if head[:2] == b"\xff\xd8" else 0
    return size - start, hashlib.blake2b(head[start : start + _COMPARED], digest_size=16).digest()


def _pixels_at(head: bytes) -> int:
    """Where the first scan of a JPEG begins; 0 if it is not there."""
    at = 2
    while at + 4 <= len(head) and head[at] == 0xFF and head[at + 1] != 0xDA:
        at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    return at if head[at : at + 2] == _START_OF_SCAN else 0


def end_fingerprint(path: str, length: int) -> bytes:
    """A fingerprint of the end of a file, which copies share; empty if it cannot be read.

    Args:
        path: Where it is.
        length: Of the part that its fingerprint is of, in bytes: what is before it may differ.
    """
    try:
        return hashlib.blake2b(read_tail(path, min(_TAIL, length)), digest_size=16).digest()
    except ImageError:
        return b""
