"""A label that comes back from a labelling tool."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from animal_classification.errors import AnimalsError

_DIGITS = 64
_HASH = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportedLabel:
    """What somebody says that a photo shows.

    Attributes:
        sha256: Of the photo's bytes.
        label: What it shows.
        who: Who says so, as the tool calls them; empty where it does not say.
        time: When; ``None`` where it does not say.
        file: Where the photo lies, if it came along.
    """

    sha256: str
    label: str
    who: str = ""
    time: datetime | None = None
    file: Path | None = None


def hash_in(text: str) -> str | None:
    """The SHA-256 in a file's name, whatever a tool put around it."""
    found = _HASH.search(text.lower())
    return found[0] if found else None


def moment(text: object) -> datetime | None:
    """A time as tools write it; ``None`` for what is none."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except (ValueError, OverflowError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def label_in(value: object) -> str:
    """A label as tools write it; empty for what is none."""
    return " ".join(value.split()) if isinstance(value, str) else ""


class PhotosBeside:
    """Photos by their hash, in a folder that was exported, or directly beside its labels.

    Args:
        folder: Where the labels lie; it is listed once, when the first photo is asked for.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, sha256: str) -> Path | None:
        """The photo of that hash; ``None`` where it did not come along."""
        return self._by_hash.get(sha256)

    @cached_property
    def _by_hash(self) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for place in (self._folder / "photos", self._folder / "data", self._folder):
            for name in sorted(_file_names(place)):
                if _HASH.fullmatch(name[:_DIGITS]):
                    found.setdefault(name[:_DIGITS], place / name)
        return found


def _file_names(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_file()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise AnimalsError(f"cannot read {str(folder)!r}: {error.strerror or error}") from error
