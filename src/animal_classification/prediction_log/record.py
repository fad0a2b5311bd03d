"""One prediction as it is kept: as a line of a file while it waits, as a row of the database after that."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

# A photo that is none of the labels is worth a look, but not before one that got half of a probability.
UNKNOWN_DOUBT = 0.5
MAX_FILE = 255


@dataclass(frozen=True, kw_only=True, slots=True)
class PredictionRecord:
    """A prediction, and where it came from.

    Attributes:
        id: As in the answer.
        time: When it was made, seconds since 1970 in UTC.
        model: The model's name.
        version: Its version.
        photo: SHA-256 of the photo's bytes, in hex.
        file: The file name that was sent, without folders.
        label: Name of the most probable label.
        label_id: Its id.
        probability: Its probability, in [0, 1].
        known: What ``unknown`` was decided on, in [0, 1].
        unknown: The photo is none of the labels.
        answer: What a person was told.
        level: Where that comes from; see ``Answer.level``.
        labels: The prediction set: names, the most probable first.
        top: Name, id and probability of the most probable labels.
        latency: Seconds from the photo's arrival to its answer.
        embedding: float16 ``[D]``, little-endian bytes; empty where there is none.
        stats: Numbers of the photo as ``imaging.statistics`` names them, float16, little-endian bytes; ``None`` where
            they were not computed.
        source: The camera or site that it came from; empty where nobody said.
        audit: The probability with which this photo was to be chosen for the audit; ``None`` where it does not count:
            there was no audit, or the photo is one more of a burst.
        audited: It was chosen.
        canary: A canary answered, not the model of that name.
        taken: When, by the camera's clock: ``2021-04-11T20:43:09``; ``None`` where the photo does not say it.
        boxes: What was found in it, as in the answer, the surest first; ``None`` where nobody asked for boxes.
    """

    id: str
    time: float
    model: str
    version: str
    photo: str
    file: str
    label: str
    label_id: str
    probability: float
    known: float
    unknown: bool
    answer: str
    level: str
    labels: tuple[str, ...]
    top: tuple[tuple[str, str, float], ...]
    latency: float
    embedding: bytes = b""
    stats: bytes | None = None
    source: str = ""
    audit: float | None = None
    audited: bool | None = None
    canary: bool | None = None
    taken: str | None = None
    boxes: tuple[dict[str, Any], ...] | None = None

    @property
    def doubt(self) -> float:
        """How much a person's look is worth, in [0, 1]: the order of the review."""
        if self.unknown:
            return UNKNOWN_DOUBT + self.known * (1 - UNKNOWN_DOUBT)
        return 1.0 - self.probability

    def to_line(self) -> bytes:
        r"""A line that says whether it is whole: CRC-32 in hex, a blank, JSON, ``\n``."""
        values = self._values() | {
            "embedding": base64.b64encode(self.embedding).decode("ascii"),
            "stats": self.stats and base64.b64encode(self.stats).decode("ascii"),
        }
        text = json.dumps(values, separators=(",", ":")).encode("ascii")
        return b"%08x %s\n" % (zlib.crc32(text), text)

    @classmethod
    def from_line(cls, line: bytes) -> PredictionRecord | None:
        """What :meth:`to_line` wrote; ``None`` where the line is torn or damaged."""
        checksum, _, text = line.rstrip(b"\n").partition(b" ")
        if not line.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(text):
            return None
        try:
            values = json.loads(text)
            values["labels"] = tuple(values["labels"])
            values["top"] = tuple(tuple(item) for item in values["top"])
            values["embedding"] = base64.b64decode(values["embedding"])
            values["stats"] = values.get("stats") and base64.b64decode(values["stats"])
            values["boxes"] = None if values.get("boxes") is None else tuple(values["boxes"])
            # A newer version may have written it before it was rolled back.
            return cls(**{name: value for name, value in values.items() if name in cls.__slots__})
        except (ValueError, TypeError, KeyError):  # whole, but from before a field was there
            return None

    def to_row(self) -> dict[str, Any]:
        """For the table of predictions; the embedding has a table of its own."""
        values = self._values()
        del values["embedding"]
        values["time"] = datetime.fromtimestamp(self.time, UTC)
        values["labels"] = list(self.labels)
        values["top"] = [list(item) for item in self.top]
        values["boxes"] = None if self.boxes is None else list(self.boxes)
        values["doubt"] = self.doubt
        return values

    def _values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}  # asdict copies, and takes ten times as long


def storable(text: str, length: int = MAX_FILE) -> str:
    """Text that every database takes: neither NUL nor half a character, and not too long."""
    if text.isascii() and "\x00" not in text:
        return text[:length]
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return whole.replace("\x00", "\N{REPLACEMENT CHARACTER}")[:length]
