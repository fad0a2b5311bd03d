"""A label that comes back from a labelling tool."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

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
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def photo_beside(folder: Path, sha256: str) -> Path | None:
    """The photo of that hash in a folder that was exported, or directly beside its labels."""
    for place in (folder / "photos", folder / "data", folder):
        if place.is_dir() and (found := next(iter(sorted(place.glob(f"{sha256}*"))), None)) is not None:
            return found
    return None
