"""Tables of a field run made again from its journal, without a model: ``animals convert``."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from animal_classification.common.suggest import nearest_file
from animal_classification.data.discovery import table_name
from animal_classification.errors import UsageError
from animal_classification.predict.field_rules import ReadRules
from animal_classification.predict.field_run import FieldRun
from animal_classification.predict.field_tables import FieldTables
from animal_classification.predict.journal import KEPT, UNFINISHED, Journal, stored_header
from animal_classification.predict.writers.field_table_file import (
    FieldWriting,
    kept_journal,
    refuse_foreign,
    write_field_tables,
)
from animal_classification.predict.writers.table_file import checked_target, is_own_table
from animal_classification.predict.writers.text import Format, format_of

if TYPE_CHECKING:
    from animal_classification.predict.field_request import FieldRules


@dataclass(frozen=True, kw_only=True)
class ConvertRequest:
    """What to make again; fields are options of ``animals convert``.

    Attributes:
        table: A table of a field run, or its journal.
        output: The table to write; by default the one that the journal belongs to.
        format: Of that, whatever its name ends with.
        overwrite: Replace a file there even if it is no table of ours.
        rules: What decides.
    """

    table: str
    output: str | None = None
    format: Format | None = None
    overwrite: bool = False
    rules: FieldRules


@dataclass(frozen=True)
class ConvertResult:
    """What was written, and where."""

    output: str
    written: FieldWriting


def convert(request: ConvertRequest) -> ConvertResult:
    """Make the tables.

    Raises:
        UsageError: There is no journal, or the rules contradict it.
        OutputError: The system refuses.
    """
    journal = find_journal(request.table)
    output = request.output or str(_table_of(journal))
    kind = request.format or format_of(output)
    if kind is None:
        raise UsageError(f"--output {output!r} ends in none of .csv, .xlsx, .json, .jsonl and .parquet; add --format")
    target = checked_target(output, kind)
    if target == journal:
        raise UsageError(f"--output {output!r} is the journal that tables are made from: give another name")
    if not request.overwrite and target.exists() and not is_own_table(target):
        raise UsageError(f"{output!r} is there, and no table of animals predict: give another --output, or --overwrite")
    header = stored_header(journal)
    if header.field is None:
        raise UsageError(f"{str(journal)!r} holds no boxes and times: it was made without --detector and the like")
    tables = FieldTables(target, kind, header.top_k)
    refuse_foreign(tables, overwrite=request.overwrite)
    rules = ReadRules.of(request.rules, FieldRun.from_record(header.field))
    with ExitStack() as held:
        if not journal.name.endswith(KEPT):  # of an unfinished run, which may be writing it
            held.enter_context(closing(Journal(journal)))
        return ConvertResult(table_name(output), write_field_tables(journal, header, rules, tables))


def find_journal(table: str) -> Path:
    """The journal of a table, finished or not, or the journal itself.

    Raises:
        UsageError: There is none.
    """
    path = Path(table).resolve()
    places = (path, kept_journal(path), path.with_name(f"{path.name}{UNFINISHED}"))
    for place in places if path.name.endswith((KEPT, UNFINISHED)) else places[1:]:
        if place.is_file():
            return place
    if not path.exists():
        raise UsageError(f"no such file: {table!r}{nearest_file(path)}")
    raise UsageError(
        f"{table!r} cannot be made again: no {kept_journal(path).name!r} beside it; animals predict leaves one after a "
        "run with --detector, --detections or another option of the field"
    )


def _table_of(journal: Path) -> Path:
    return journal.with_name(journal.name.removesuffix(KEPT).removesuffix(UNFINISHED))
