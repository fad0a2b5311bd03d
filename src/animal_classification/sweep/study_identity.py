"""What a study was made for: configuration and space, photos, code. With others it is another study."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animal_classification.common.text_files import replace_text

if TYPE_CHECKING:
    from animal_classification.config.schema import Config
    from animal_classification.sweep.search_space import Space

FILE = "study.json"
_NO_PART_OF_A_STUDY = {
    "output": True,
    "tracking": True,
    "name": True,
    "sweep": {"trials", "seconds", "storage", "study"},
}


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Everything that makes trials comparable; not how many there are, nor where they are kept.

    Attributes:
        asked: Hash of configuration and space.
        data: Version of the photos.
        code: Version of the package, and commit of a checkout.
    """

    asked: str
    data: str = ""
    code: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def mark(self) -> str:
        """Stands for all of it, in hexadecimal digits."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def differences(self, other: Identity) -> str:
        """In what ``other`` is another study, in words."""
        parts = []
        if self.asked != other.asked:
            parts.append("another configuration or space")
        if self.data != other.data:
            parts.append(f"other photos (data version {other.data or 'unknown'}, now {self.data or 'unknown'})")
        if dict(self.code) != dict(other.code):
            parts.append(f"other code ({_code(other.code)}, now {_code(self.code)})")
        return " and ".join(parts)

    def as_text(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_text(cls, text: str) -> Identity | None:
        """The inverse; ``None`` for anything else, such as the mark that older versions kept."""
        with suppress(ValueError, TypeError):
            values: dict[str, Any] = json.loads(text)
            return cls(**values)
        return None


def asked_for(config: Config, space: Space) -> str:
    """A hash of configuration and space, as far as they make trials comparable."""
    asked = config.model_dump(mode="json", by_alias=True, exclude=_NO_PART_OF_A_STUDY)  # type: ignore[arg-type]
    tried = {key: value.model_dump(mode="json") for key, value in space.items()}
    return hashlib.sha256(json.dumps([asked, tried], sort_keys=True).encode()).hexdigest()


def note_down(folder: Path, identity: Identity) -> None:
    """Leave word in the study's folder, for those who look for studies of the same."""
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        replace_text(identity.as_text() + "\n", folder / FILE)


def other_studies(folder: Path, identity: Identity) -> Iterator[str]:
    """A line for each study beside ``folder`` that was asked for the same and is another one all the same."""
    for file in sorted(folder.parent.glob(f"*/{FILE}")):
        with suppress(OSError, UnicodeDecodeError):
            other = Identity.from_text(file.read_text(encoding="utf-8"))
            if other is not None and other.asked == identity.asked and other.mark != identity.mark:
                yield f"study {file.parent.name} is of {identity.differences(other)}: this is another study"


def _code(code: Mapping[str, str | None]) -> str:
    return (code.get("git") or "")[:8] or code.get("version") or "unknown"
