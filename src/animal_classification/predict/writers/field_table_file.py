"""The tables of a field run on disk: as a table of predictions, with two more beside it, and a journal that stays.

The journal takes the name ``FILE.run.jsonl`` when the tables are written. ``animals convert`` makes tables from it
again, and ``--resume`` goes on with it.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from animal_classification.common.atomic import remove_leftovers
from animal_classification.errors import UsageError
from animal_classification.predict.assembly import Assembly, AssemblyCounts
from animal_classification.predict.field_columns import DETECTION_COLUMNS, EVENT_TABLE_COLUMNS, Column
from animal_classification.predict.field_rules import ReadRules
from animal_classification.predict.field_run import FieldRun
from animal_classification.predict.field_tables import FieldTables, beside_table
from animal_classification.predict.journal import KEPT, UNFINISHED, JournalEntry, write_failed
from animal_classification.predict.journal_header import JournalHeader
from animal_classification.predict.writers import parquet
from animal_classification.predict.writers.table_file import TableFile, checked_target

if TYPE_CHECKING:
    from animal_classification.predict.writers.text import Format


@dataclass(frozen=True)
class FieldWriting:
    """What was written.

    Attributes:
        counts: What is in the tables.
        notes: What the user should know, a line each.
    """

    counts: AssemblyCounts
    notes: tuple[str, ...]


class FieldTableFile(TableFile):
    """See ``TableFile``; ``rules`` decide what is written."""

    def __init__(
        self,
        path: str,
        kind: Format,
        *,
        rules: ReadRules,
        resume: bool = False,
        overwrite: bool = False,
        threads: int = 1,
    ) -> None:
        checked_target(path, kind)  # before the journal is touched
        target = Path(path).resolve()
        kept, unfinished = kept_journal(target), target.with_name(f"{target.name}{UNFINISHED}")
        self._untouched = False
        if resume and kept.is_file() and not unfinished.exists():
            with suppress(FileNotFoundError):  # another run has just taken it, and has the lock
                kept.rename(unfinished)
                self._untouched = True
        super().__init__(path, kind, resume=resume, overwrite=overwrite, threads=threads)
        try:
            refuse_foreign(FieldTables(self.path, kind, 1), overwrite=overwrite)
        except BaseException:
            self.close()
            raise
        self._rules = rules
        self.written: FieldWriting | None = None

    @staticmethod
    def files(path: str) -> tuple[Path, ...]:
        """Every file that the tables at ``path`` may consist of while they are made."""
        target = Path(path).resolve()
        beside = (kept_journal(target), beside_table(target, "detections"), beside_table(target, "events"))
        return (*TableFile.files(path), *beside)

    def append(self, entry: JournalEntry) -> None:
        """Add a row; it is safe when this returns."""
        self._untouched = False
        super().append(entry)

    def close(self, *, discard: bool = False) -> None:
        """Let go; a journal of a finished run that nothing was added to has its name back."""
        journal = self._journal.path
        super().close(discard=discard)
        if self._untouched and journal.is_file():
            journal.replace(kept_journal(self.path))

    def finish(self) -> None:
        """Write the tables; the journal gets the name under which it stays."""
        self._settle()
        self._write(self._journal.path)
        self._untouched = False
        self._journal.path.replace(kept_journal(self.path))
        self._journal.abandon()

    def _write(self, journal: Path) -> None:
        header = self._journal.header
        assert header is not None
        remove_leftovers(self.path)  # nobody else has the journal
        self.written = write_field_tables(
            journal, header, self._rules, FieldTables(self.path, self._kind, header.top_k)
        )

    def _seed(self, header: JournalHeader, guesses: int) -> None:
        raise UsageError(
            f"{str(self.path)!r} was made without boxes and times, or its {KEPT} is gone: give another --output"
        )


def write_field_tables(journal: Path, header: JournalHeader, rules: ReadRules, tables: FieldTables) -> FieldWriting:
    """Make the tables of a journal.

    Raises:
        OutputError: The system refuses to write one.
    """
    assert header.field is not None
    run = FieldRun.from_record(header.field)
    try:
        with Assembly(journal, run, rules) as assembly:
            tables.write(assembly, _about(header, run, rules))
            return FieldWriting(assembly.counts, (*rules.notes, *assembly.notes))
    except OSError as error:
        hint = "; what was found is safe: make room and go on with --resume"
        raise write_failed(tables.path, error, hint) from error


def kept_journal(table: Path) -> Path:
    """Where the journal of a finished table is."""
    return table.with_name(f"{table.name}{KEPT}")


def refuse_foreign(tables: FieldTables, *, overwrite: bool) -> None:
    """Make sure that no file beside the table is replaced that is none of ours.

    Raises:
        UsageError: One is.
    """
    if overwrite:
        return
    wanted = {
        "detections": [one.name for one in DETECTION_COLUMNS],
        "events": [one.name for one in EVENT_TABLE_COLUMNS],
    }
    for path in tables.beside:
        names = wanted[path.name.removesuffix(path.suffix).rpartition(".")[2]]
        if path.exists() and not _has(path, tables.kind, names):
            raise UsageError(
                f"{str(path)!r} is there, and no table of animals predict: give another --output, or --overwrite"
            )


def _names(columns: Sequence[Column]) -> list[str]:
    return [column.name for column in columns]


def _has(path: Path, kind: Format, names: list[str]) -> bool:
    """Whether a file begins as ours do, or is empty."""
    if path.stat().st_size == 0:
        return True
    readers: dict[str, Callable[[Path], list[str]]] = {"csv": _csv_names, "parquet": parquet.read_columns}
    try:
        return readers.get(kind, _json_names)(path) == names
    except (ValueError, UsageError, StopIteration, RecursionError, csv.Error):
        return False


def _csv_names(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file))


def _json_names(path: Path) -> list[str]:
    with path.open(encoding="utf-8") as file:
        first = file.readline()
        text = file.readline() if first == "[\n" else first
    if text == "]\n":
        return _names(EVENT_TABLE_COLUMNS)
    row = json.loads(text.rstrip(",\n"))
    return [*row] if isinstance(row, dict) else []


def _about(header: JournalHeader, run: FieldRun, rules: ReadRules) -> dict[str, str]:
    """The sheet ``run``."""
    return {
        "model": f"{header.model} {header.model_version} ({header.model_sha256[:12]})",
        "boxes": run.identity(),
        "threshold": f"{rules.decider.threshold:g}" if run.boxes else "",
        "burst_gap": str(rules.gaps.within_burst),
        "event_gap": str(rules.gaps.event),
        "smoothing": "burst" if rules.decider.smooth else "none",
        "paths": ", ".join(header.paths),
    }
