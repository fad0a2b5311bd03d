"""Parquet through DuckDB: without downloads, pandas or pyarrow."""

# Imported where they are used: DuckDB takes 60 ms to load, and most runs read and write no Parquet.

from __future__ import annotations

import glob
import json
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animal_classification.common.reading_budget import CELL, ROW, ReadingBudget, most_memory

if TYPE_CHECKING:
    import duckdb


def write_table(
    target: Path,
    rows: Iterable[Mapping[str, Any]],
    types: Mapping[str, str],
    about: str,
    *,
    compression: str = "snappy",
) -> None:
    """Write rows, with ``about`` in the file's own metadata.

    Args:
        target: The file; not replaced in one step, so name a temporary one.
        rows: From column to value.
        types: From column to DuckDB type, in order.
        about: Any text; ``read_about`` gives it back.
        compression: Of Parquet's; ``zstd`` takes less space and more time.

    Raises:
        duckdb.Error: The system refuses.
    """
    columns = ", ".join(f"{quoted(name)}: {quoted(kind)}" for name, kind in types.items())
    with tempfile.TemporaryDirectory() as folder, connect() as database:
        lines = Path(folder, "rows.jsonl")
        with lines.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(dict(row)) + "\n" for row in rows)
        # Neither the target nor the metadata can be a parameter.
        database.execute(
            f"COPY (SELECT * FROM read_json($1, format = 'newline_delimited', columns = {{{columns}}})) "  # noqa: S608
            f"TO {quoted(str(target))} "
            f"(FORMAT parquet, COMPRESSION {compression}, KV_METADATA {{animals: {quoted(about)}}})",
            [literal(lines)],
        )


def read_table(path: Path) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Names of the columns, and the rows.

    Equal values are packed into a few bytes, however many there are, so that what comes out is counted.

    Raises:
        UsageError: It would take more memory than there is.
        duckdb.Error: It is no Parquet file.
    """
    source, budget = "read_parquet($1)", ReadingBudget(repr(str(path)))
    with connect(memory_limit=f"{most_memory() // 4}B") as database:
        counted = database.execute(f"SELECT count(*) FROM {source}", [literal(path)]).fetchone()  # noqa: S608
        described = database.execute(f"SELECT * FROM {source} LIMIT 0", [literal(path)]).description  # noqa: S608
        columns = [column[0] for column in described or ()]
        budget.take((counted[0] if counted else 0) * (ROW + CELL * len(columns)))
        characters = f"SELECT sum(strlen(COLUMNS(*)::VARCHAR)) FROM {source}"  # noqa: S608
        budget.take(sum(size or 0 for size in database.execute(characters, [literal(path)]).fetchone() or ()))
        return columns, database.execute(f"SELECT * FROM {source}", [literal(path)]).fetchall()  # noqa: S608


def read_about(path: Path) -> str | None:
    """What ``write_table`` was given as ``about``; ``None`` for a file from elsewhere.

    Raises:
        duckdb.Error: It is no Parquet file.
    """
    with connect() as database:
        found = database.execute(
            "SELECT value FROM parquet_kv_metadata($1) WHERE key = 'animals'::BLOB", [literal(path)]
        ).fetchone()
    return None if found is None else bytes(found[0]).decode("utf-8")


def is_about(path: Path, words: str) -> bool:
    """Whether a file is a table of ``write_table`` with these words among what it says about itself."""
    import duckdb

    try:
        return words in (read_about(path) or "")
    except duckdb.Error:
        return False


def connect(threads: int = 1, **more: Any) -> duckdb.DuckDBPyConnection:
    """A database in memory that downloads nothing and leaves nothing behind.

    Args:
        threads: That it may use.
        more: Settings of DuckDB, such as ``memory_limit``.
    """
    import duckdb

    settings: dict[str, Any] = {
        **more,
        "threads": threads,
        "temp_directory": "",
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    return duckdb.connect(":memory:", config=settings)


def literal(path: Path) -> str:
    """A path with its wildcards escaped for DuckDB."""
    return glob.escape(str(path.absolute()))


def quoted(text: str) -> str:
    """A text in SQL."""
    doubled = text.replace("'", "''")
    return f"'{doubled}'"
