"""The loop's ledger: each transition of each cycle, in a hash chain, in the log's database and in files.

    FOLDER/ZOO-0007/audit.jsonl     one line for each transition of the cycle
    table animals_loop              the same rows

``sha`` of a row is SHA-256 of the ``sha`` before it and the row's content, over all cycles of a model: who changes or
removes a row would have to change all that follow, in both places. A process that is killed between writing the two
leaves one of them shorter by one row, which the next one completes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from animal_classification.common.text_files import cannot_write
from animal_classification.errors import AnimalsError
from animal_classification.prediction_log.database import reading, writing
from animal_classification.prediction_log.database_errors import translated_errors
from animal_classification.prediction_log.tables import loop as table

if TYPE_CHECKING:
    from sqlalchemy import Engine

AUDIT_FILE = "audit.jsonl"
BEGINNING = "0" * 64


@dataclass(frozen=True, kw_only=True)
class Transition:
    """A cycle came to a state.

    Attributes:
        cycle: Such as ``ZOO-0007``.
        seq: From 0, within the cycle.
        time: When.
        state: The new state.
        by: Who did it: a person's name, or the machine's.
        data_version: Of the photos.
        frozen: Version of the frozen photos.
        config: SHA-256 of the configuration.
        code: Version of this package, and commit of a checkout.
        bundle: SHA-256 of the candidate.
        registry_version: Its number in the registry.
        decision: What was found and decided.
        prev_sha: ``sha`` of the row before, of whichever cycle.
        sha: Of this row.
    """

    cycle: str
    seq: int
    time: datetime
    state: str
    by: str
    data_version: str | None = None
    frozen: str | None = None
    config: str | None = None
    code: str | None = None
    bundle: str | None = None
    registry_version: str | None = None
    decision: dict[str, Any]
    prev_sha: str = BEGINNING
    sha: str = ""

    def as_object(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "time": self.time.astimezone(UTC).isoformat(timespec="microseconds")}

    def hashed(self) -> str:
        """What ``sha`` must be."""
        content = {name: value for name, value in self.as_object().items() if name not in ("sha", "prev_sha")}
        text = json.dumps(content, sort_keys=True, ensure_ascii=True, allow_nan=False)
        return hashlib.sha256(f"{self.prev_sha}{text}".encode()).hexdigest()

    @classmethod
    def from_object(cls, value: dict[str, Any]) -> Transition:
        """From :meth:`as_object`."""
        return cls(**{**value, "time": datetime.fromisoformat(value["time"])})


class Ledger:
    """All transitions of a model's cycles.

    Args:
        home: The loop's folder.
        engine: The log's database, with its tables.
        model: The registered model's name.
    """

    def __init__(self, home: Path, engine: Engine, model: str) -> None:
        self._home = home
        self._engine = engine
        self._model = model
        self._prefix = model.upper()

    def cycle_name(self, number: int) -> str:
        """Such as ``ZOO-0007``."""
        return f"{self._prefix}-{number:04d}"

    def folder(self, cycle: str) -> Path:
        """Where a cycle keeps what it makes."""
        return self._home / cycle

    def transitions(self) -> list[Transition]:
        """All of them, in order, after completing what a killed process left undone.

        Raises:
            AnimalsError: Database and files say different things, or somebody has changed what they say.
            LogDatabaseError: The database cannot be used now.
            OutputError: A file cannot be written.
        """
        kept, written = self._in_database(), self._in_files()
        for one, other in zip(kept, written, strict=False):
            if one.sha != other.sha:
                raise AnimalsError(
                    f"the loop's ledger contradicts itself: {one.cycle} {one.seq} is {one.state} in the database and "
                    f"{other.state} in {str(self.folder(other.cycle) / AUDIT_FILE)!r}; see: animals loop "
                    "history --verify"
                )
        if problems := _broken(max(kept, written, key=len)):
            raise AnimalsError(
                f"the loop's ledger was changed: {problems[0]}; nothing goes on from it; see: animals loop history "
                "--verify"
            )
        for missing in kept[len(written) :]:
            self._write_line(missing)
        for missing in written[len(kept) :]:
            self._insert(missing)
        return max(kept, written, key=len)

    def append(self, transition: Transition) -> Transition:
        """Add a transition behind the last one; returns it with its hashes.

        Raises:
            AnimalsError: Somebody else has just added one.
            LogDatabaseError: The database cannot be used now.
            OutputError: The file cannot be written.
        """
        before = self.transitions()
        linked = replace(transition, prev_sha=before[-1].sha if before else BEGINNING)
        linked = replace(linked, sha=linked.hashed())
        try:
            self._insert(linked)
        except IntegrityError as error:
            raise AnimalsError(
                f"{linked.cycle}: another process has moved this cycle on; see: animals loop status"
            ) from error
        self._write_line(linked)
        return linked

    def verify(self) -> list[str]:
        """What is wrong with the chain, a line each; nothing where it is whole."""
        kept, written = self._in_database(), self._in_files()
        problems = [f"the database: {line}" for line in _broken(kept)]
        problems += [f"the files: {line}" for line in _broken(written)]
        if [one.sha for one in kept] != [one.sha for one in written]:
            problems.append(f"the database has {len(kept)} transitions and the files {len(written)}, not the same ones")
        return problems

    def _in_database(self) -> list[Transition]:
        statement = select(table).order_by(table.c.cycle, table.c.seq)
        with translated_errors(self._engine.url, rows=False), reading(self._engine) as connection:
            rows = [Transition(**row) for row in connection.execute(statement).mappings()]
        return self._ours(rows)

    def _in_files(self) -> list[Transition]:
        rows = []
        for file in sorted(self._home.glob(f"{self._prefix}-*/{AUDIT_FILE}")):
            lines = file.read_bytes().split(b"\n")
            for number, line in enumerate(lines, 1):
                if not line or number == len(lines):  # the last one was cut short when its writer was killed
                    continue
                try:
                    rows.append(Transition.from_object(json.loads(line)))
                except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
                    raise AnimalsError(f"{str(file)!r}: line {number} is no transition of a loop") from error
        return self._ours(rows)

    def _ours(self, rows: Iterable[Transition]) -> list[Transition]:
        """Those of this model, by number: ``ZOO-10000`` comes after ``ZOO-9999``."""
        numbered = ((number, row) for row in rows if (number := cycle_number(self._model, row.cycle)) is not None)
        return [row for _, row in sorted(numbered, key=lambda pair: (pair[0], pair[1].seq))]

    def _insert(self, row: Transition) -> None:
        with translated_errors(self._engine.url), writing(self._engine) as connection:
            connection.execute(insert(table).values(**asdict(row)))

    def _write_line(self, row: Transition) -> None:
        file = self.folder(row.cycle) / AUDIT_FILE
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("a+b") as stream:
                _cut_half_line(stream.fileno())
                stream.write(json.dumps(row.as_object(), ensure_ascii=True).encode() + b"\n")
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise cannot_write(file, error) from error


def cycle_number(model: str, cycle: str) -> int | None:
    """7 for ``ZOO-0007``; ``None`` for the cycle of another model."""
    found = re.fullmatch(rf"{re.escape(model.upper())}-([0-9]+)", cycle)
    return int(found[1]) if found else None


def collected_folders(engine: Engine) -> dict[str, Path]:
    """Where the cycles of all loops that use this log have put what they collected.

    Raises:
        LogDatabaseError: The database cannot be used now.
    """
    statement = select(table.c.cycle, table.c.decision).where(table.c.state == "collected")
    with translated_errors(engine.url, rows=False), reading(engine) as connection:
        return {cycle: Path(str(decision.get("folder"))) for cycle, decision in connection.execute(statement)}


def _cut_half_line(descriptor: int) -> None:
    """Remove what a killed process left of a line."""
    size = os.fstat(descriptor).st_size
    text = os.pread(descriptor, size, 0) if hasattr(os, "pread") else b""
    whole = text.rfind(b"\n") + 1
    if size and whole != size:
        os.ftruncate(descriptor, whole)


def _broken(rows: Sequence[Transition]) -> list[str]:
    problems, before = [], BEGINNING
    for row in rows:
        if row.prev_sha != before:
            problems.append(f"{row.cycle} {row.seq} ({row.state}) does not follow the row before it")
        if row.sha != row.hashed():
            problems.append(f"{row.cycle} {row.seq} ({row.state}) was changed")
        before = row.sha
    return problems
