"""The rows of all shards as one table, after a look at every footer: each shard once, of this plan, and whole."""

# Imported where they are used: DuckDB takes 60 ms to load, and only a merge needs it here.

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from animal_classification.common.atomic import new_file
from animal_classification.data.duckdb_parquet import connect, literal, quoted
from animal_classification.errors import AnimalsError, OutputError, UsageError
from animal_classification.predict.field_request import FieldRules
from animal_classification.predict.table import Row, columns, from_values
from animal_classification.predict.timeline import TimelineTarget
from animal_classification.predict.writers.text import TextWriter, format_of
from animal_classification.scale.field_merge import write_field, write_page
from animal_classification.scale.plan import Plan, load_plan, out_name
from animal_classification.scale.status import rows_of
from animal_classification.scale.storage import BatchFolder, LocalFolder
from animal_classification.scale.worker import done_shards

if TYPE_CHECKING:
    import duckdb

ROWS_AT_ONCE = 1000
READERS = 8
FILES_AT_ONCE = 500
MEMORY = "512MB"


@dataclass(frozen=True)
class Merged:
    """What came out.

    Attributes:
        output: The table.
        rows: In it.
        errors: Rows that say why there is no answer.
        notes: What the user should know of the rules, a line each.
        events: On the page, where one was asked for.
    """

    output: str
    rows: int
    errors: int
    notes: tuple[str, ...] = ()
    events: int | None = None


def merge(
    folder: BatchFolder,
    output: Path,
    *,
    rules: FieldRules | None = None,
    page: TimelineTarget | None = None,
    overwrite: bool = False,
    told: Callable[[int, int], None] = lambda a, b: None,
) -> Merged:
    """Write one table: Parquet, with what the plan knew of each photo, or csv, exactly as ``animals predict`` does.

    Where animals were looked for in the photos, these are the tables of ``animals predict --detector``, in any format:
    bursts and events go over shards, so they are decided here.

    Args:
        folder: The batch's.
        output: The table, on this machine.
        rules: What decides about boxes, bursts and events.
        page: Where a page of the events goes.
        overwrite: Replace a file that is there.
        told: Told of how many shards of how many were read.

    Raises:
        UsageError: Not all shards have their rows, or the table's name ends in another way.
        AnimalsError: A shard's rows are not what they should be, or the table cannot be written.
    """
    kind = format_of(str(output))
    plan = load_plan(folder)
    if plan.field_run is None:
        _refuse_rules(rules, page, output, kind)
    if kind is None:
        raise UsageError(f"--output {str(output)!r} must end in .csv, .parquet, .xlsx, .json or .jsonl")
    if output.exists() and not overwrite:
        raise UsageError(f"{str(output)!r} is there: give another --output, or --overwrite")
    done = done_shards(folder)
    if missing := plan.shards - len(done & set(range(plan.shards))):
        raise UsageError(f"{missing} of {plan.shards} shards have no rows yet: animals batch run {folder.url}")
    with _local_shards(folder, plan, told) as files:
        rows = _check(plan, files)
        if plan.field_run is not None:
            rules = rules or FieldRules()
            written = write_field(plan, read_rows(plan, files), output, kind, rules, overwrite=overwrite)
            events = None if page is None else write_page(folder, plan, output, rules, page)
            return Merged(str(output), rows, written.counts.unreadable, written.notes, events)
        try:
            with new_file(output) as temporary:
                errors = (_write_parquet if kind == "parquet" else _write_csv)(plan, files, temporary)
        except OSError as error:
            raise OutputError(f"cannot write {str(output)!r}: {error.strerror or error}") from error
    return Merged(str(output), rows, errors)


def _refuse_rules(rules: FieldRules | None, page: TimelineTarget | None, output: Path, kind: str | None) -> None:
    if page is not None:
        raise UsageError("--html is a page of events: plan the batch with --detector lite, or --detector none")
    if rules not in (None, FieldRules()):
        raise UsageError("such rules are about animals in boxes, bursts and events: plan the batch with --detector")
    if kind not in ("parquet", "csv"):
        raise UsageError(f"--output {str(output)!r} must end in .parquet or .csv")


@contextmanager
def _local_shards(folder: BatchFolder, plan: Plan, told: Callable[[int, int], None]) -> Iterator[list[Path]]:
    """The files of all shards on this machine, in order; those of a bucket are fetched (130 bytes a row)."""
    if isinstance(folder, LocalFolder):
        yield [folder.root / out_name(number) for number in range(plan.shards)]
        return
    with tempfile.TemporaryDirectory() as temporary, ThreadPoolExecutor(READERS) as pool:
        files = [Path(temporary, f"{number:06d}.parquet") for number in range(plan.shards)]

        def fetch(number: int) -> None:
            files[number].write_bytes(folder.read(out_name(number)))

        for number, _ in enumerate(pool.map(fetch, range(plan.shards)), start=1):
            told(number, plan.shards)
        yield files


def _check(plan: Plan, files: Sequence[Path]) -> int:
    """Look at every footer; returns the number of rows.

    Raises:
        AnimalsError: One is not what it should be.
    """
    import duckdb

    rows = 0
    with connect(memory_limit=MEMORY) as database:
        for first in range(0, len(files), FILES_AT_ONCE):
            some = files[first : first + FILES_AT_ONCE]
            try:
                about = _footers(database, some)
            except (duckdb.Error, ValueError, RecursionError) as error:
                why = str(error).splitlines()[0]
                raise AnimalsError(
                    f"a shard's rows cannot be read, so delete its file and run the batch again: {why}"
                ) from error
            for number, file in enumerate(some, start=first):
                found, count = about[str(file.absolute())]
                expected = rows_of(plan, number)
                if (found.get("plan"), found.get("shard"), count) != (plan.id, number, expected):
                    raise AnimalsError(
                        f"{out_name(number)} is not shard {number} of this plan with {expected} rows: delete it, and "
                        "run the batch again"
                    )
                rows += count
    return rows


def _footers(database: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> dict[str, tuple[dict[str, object], int]]:
    names = [literal(file) for file in files]
    said = database.execute(
        "SELECT file_name, value FROM parquet_kv_metadata($1) WHERE key = 'animals'::BLOB", [names]
    ).fetchall()
    about = {name: found for name, value in said if isinstance(found := json.loads(bytes(value)), dict)}
    counts = database.execute("SELECT file_name, num_rows FROM parquet_file_metadata($1)", [names]).fetchall()
    return {name: (about.get(name, {}), count) for name, count in counts}


def _write_parquet(plan: Plan, files: Sequence[Path], target: Path) -> int:
    import duckdb

    with connect(memory_limit=MEMORY, preserve_insertion_order=True) as database:
        try:
            database.execute(
                f"COPY (SELECT * FROM read_parquet($1)) TO {quoted(str(target))} "  # noqa: S608
                f"(FORMAT parquet, ROW_GROUP_SIZE {_row_group(plan)})",
                [[literal(file) for file in files]],
            )
            found = database.execute("SELECT count(error) FROM read_parquet($1)", [literal(target)]).fetchone()
        except duckdb.Error as error:
            raise OutputError(f"cannot write {str(target)!r}: {str(error).splitlines()[0]}") from error
    return int(found[0]) if found else 0


def _row_group(plan: Plan) -> int:
    """Rows that DuckDB holds before it writes them: its own default, and less of those with 5 kB of numbers each."""
    return 8_192 if plan.options.get("embeddings") else 122_880


def _write_csv(plan: Plan, files: Sequence[Path], target: Path) -> int:
    writer = TextWriter("csv", plan.top_k)
    errors = 0
    with target.open("wb") as out:
        out.write(writer.start())
        for row, _ in read_rows(plan, files):
            errors += row["error"] is not None
            out.write(writer.row(row))
        out.write(writer.end())
    return errors


def read_rows(plan: Plan, files: Sequence[Path]) -> Iterator[tuple[Row, str | None]]:
    """The rows of all shards in order, with the evidence of each as JSON, where there is any."""
    names = columns(plan.top_k)
    selected = ", ".join(f'"{name}"' for name in names)
    evidence = "NULL" if plan.field_run is None else "evidence"
    with connect(memory_limit=MEMORY) as database:
        for file in files:
            result = database.execute(f"SELECT {selected}, {evidence} FROM read_parquet($1)", [literal(file)])  # noqa: S608
            while batch := result.fetchmany(ROWS_AT_ONCE):
                for values in batch:
                    yield from_values(values[:-1]), values[-1]
