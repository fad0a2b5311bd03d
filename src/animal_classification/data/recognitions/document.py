"""Documents and tables of other programs, read within bounds."""

from __future__ import annotations

import codecs
import json
import zipfile
from pathlib import Path
from typing import IO

from animal_classification.common.json_text import load_json
from animal_classification.common.limits import available_memory
from animal_classification.common.reading_budget import ReadingBudget
from animal_classification.common.zip_damage import DAMAGED
from animal_classification.errors import AnimalsError, UsageError

# Results for a million pictures take about 200 MB.
MAX_BYTES = 512 << 20
# While a document is read it takes nine times as much memory as on disk.
_GROWTH = 12
_SNIFFED = 4096


def most_bytes() -> int:
    """The largest file that fits into the memory of this machine, or of its container, when it is read."""
    memory = available_memory()
    return MAX_BYTES if memory is None else min(MAX_BYTES, memory // _GROWTH)


def read_json(file: Path, max_bytes: int | None = None) -> object:
    """A JSON document, with or without a byte order mark; NaN is let through as a number.

    Raises:
        UsageError: It is no JSON, too large, or nested too deeply.
        AnimalsError: It cannot be read.
    """
    return parse_json(read_bytes(file, max_bytes), str(file))


def parse_json(data: bytes, where: str, budget: ReadingBudget | None = None) -> object:
    """A JSON document from bytes; ``budget`` is that of the file, where it holds several.

    Raises:
        UsageError: It is no JSON, nested too deeply, or would take more memory than there is.
    """
    try:
        return load_json(data, where, budget)
    except json.JSONDecodeError as error:
        raise UsageError(
            f"{where!r} is no JSON (line {error.lineno}, column {error.colno}: {error.msg}); was it written to the end?"
        ) from error
    except ValueError as error:  # not UTF-8, a number of thousands of digits, or nested too deeply
        raise UsageError(f"{where!r} cannot be read as JSON: {error}") from error


def read_bytes(file: Path, max_bytes: int | None = None) -> bytes:
    """A file's content; by default of one that fits into memory.

    Raises:
        UsageError: It holds more than ``max_bytes``.
        AnimalsError: It cannot be read.
    """
    try:
        with file.open("rb") as stream:
            return _bounded(stream, str(file), most_bytes() if max_bytes is None else max_bytes)
    except OSError as error:
        raise AnimalsError(f"cannot read {str(file)!r}: {error.strerror}") from error


def check_size(file: Path, max_bytes: int = MAX_BYTES) -> None:
    """Refuse a file before it is read whole.

    Raises:
        UsageError: It holds more than ``max_bytes``.
        AnimalsError: It cannot be looked at.
    """
    try:
        size = file.stat().st_size
    except OSError as error:
        raise AnimalsError(f"cannot read {str(file)!r}: {error.strerror}") from error
    if size > max_bytes:
        raise _too_large(str(file), max_bytes)


def starts_like_json(file: Path) -> bool:
    """Whether a file's first character is one that JSON documents begin with.

    Raises:
        AnimalsError: It cannot be read.
    """
    try:
        with file.open("rb") as stream:
            head = stream.read(_SNIFFED)
    except OSError as error:
        raise AnimalsError(f"cannot read {str(file)!r}: {error.strerror}") from error
    for mark in (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        head = head.removeprefix(mark)
    return head.replace(b"\0", b"").lstrip()[:1] in (b"{", b"[")


class ZippedFolder:
    """The files of a zip, read one at a time within bounds; names that lead outside are never made."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def names(self) -> list[str]:
        """Names of all members.

        Raises:
            UsageError: It is no zip, or a damaged one.
        """
        try:
            with zipfile.ZipFile(self._file) as archive:
                return archive.namelist()
        except DAMAGED as error:
            raise UsageError(f"{str(self._file)!r} cannot be read as a zip: {error}") from error

    def read(self, name: str, max_bytes: int | None = None) -> bytes:
        """A member's content; by default as much of it as fits into memory.

        Raises:
            UsageError: It is damaged, protected by a password, or holds more than ``max_bytes``.
        """
        where = f"{self._file}/{name}"
        try:
            with zipfile.ZipFile(self._file) as archive, archive.open(name) as stream:
                return _bounded(stream, where, most_bytes() if max_bytes is None else max_bytes)
        except DAMAGED as error:
            raise UsageError(f"cannot read {where!r}: {error}") from error


def _bounded(stream: IO[bytes], where: str, max_bytes: int) -> bytes:
    data = stream.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise _too_large(where, max_bytes)
    return data


def _too_large(where: str, max_bytes: int) -> UsageError:
    return UsageError(
        f"{where!r} holds more than {max_bytes:,} bytes; split it by folders, and run each folder with its part"
    )
