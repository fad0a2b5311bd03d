"""The first line of a journal: which run it is of, and what must be the same for it to go on.

A journal may come from anybody: nothing in it is believed before it is checked.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Annotated, Any, cast

from pydantic import Field, TypeAdapter

from animal_classification.predict.field_run import FieldRun
from animal_classification.predict.writers.text import to_json

# 2: wide photos have several crops, and rows say which state of the file they are of; 3: rows hold the answer.
VERSION = 3
MARK = "animals_journal"
_MOST_GUESSES = 10_000  # of a row


@dataclass(frozen=True, kw_only=True)
class JournalHeader:
    """What must be the same for a run to go on.

    Attributes:
        model: The model's name.
        model_version: Its version.
        model_sha256: Its identity.
        top_k: As asked for.
        format: Of the table.
        paths: The places to read, absolute.
        sort_into: The folder to sort into, absolute, with the way; ``None`` without.
        replaces: A table of an earlier run is there, which stays until this run is complete.
        table_time: When the finished table was written that this run goes on with, in nanoseconds: rows of it have no
            state.
        field: What a field run was made with (``predict.field_run``); ``None`` for any other.
    """

    model: str
    model_version: str
    model_sha256: str
    top_k: Annotated[int, Field(ge=1, le=_MOST_GUESSES)]
    format: str
    paths: list[str]
    sort_into: str | None = None
    replaces: bool = False
    table_time: int | None = None
    field: dict[str, Any] | None = None

    def differences(self, other: JournalHeader) -> list[str]:
        """What ``other`` wants differently, for people."""
        pairs = zip(self._shown().items(), other._shown().values(), strict=True)
        return [f"{name} {_short(mine)}, not {_short(theirs)}" for (name, mine), theirs in pairs if mine != theirs]

    def _shown(self) -> dict[str, str]:
        return {
            "model": f"{self.model} {self.model_version} ({self.model_sha256[:12]})",
            "--top-k": str(self.top_k),
            "--format": self.format,
            "the paths": ", ".join(self.paths),
            "--sort-into": self.sort_into or "nothing",
            "--detector": "nothing" if self.field is None else FieldRun.from_record(self.field).identity(),
        }

    def to_line(self) -> bytes:
        """The first line of a journal."""
        known = asdict(self)
        if self.field is None:
            del known["field"]
        return to_json({MARK: VERSION, **known}) + b"\n"


_HEADERS = TypeAdapter(JournalHeader)


def header_of(line: bytes) -> JournalHeader | None:
    """From the first line; ``None`` for one of another version.

    Raises:
        ValueError: It is none.
    """
    try:
        values = cast("dict[str, Any]", json.loads(line))
        if values.pop(MARK) != VERSION:
            return None
        header = _HEADERS.validate_python(values)
        if header.field is not None:
            FieldRun.from_record(header.field)
        return header
    except (TypeError, AttributeError, KeyError, RecursionError) as error:
        raise ValueError("no header of a journal") from error


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"…{text[-79:]}"
