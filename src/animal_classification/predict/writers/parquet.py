"""Tables as parquet, through DuckDB: nothing is downloaded, and neither memory nor threads go beyond what is given."""

# Imported where they are used: DuckDB takes 60 ms to load, and most runs write no parquet.

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from animal_classification.data.duckdb_parquet import connect, literal, quoted
from animal_classification.errors import OutputError, UsageError
from animal_classification.predict.table import SET_SEPARATOR, Row, columns, from_values

MEMORY = "128MB"
ROWS_AT_ONCE = 1000
_GUESSES = "STRUCT(label VARCHAR, label_id VARCHAR, probability DOUBLE)[]"
_TYPES = {
    "path": "VARCHAR",
    "answer": "VARCHAR",
    "answer_probability": "DOUBLE",
    "label": "VARCHAR",
    "label_id": "VARCHAR",
    "probability": "DOUBLE",
    "group": "VARCHAR",
    "group_probability": "DOUBLE",
    "unknown": "BOOLEAN",
    "set": "VARCHAR[]",
    "top": _GUESSES,
    "model": "VARCHAR",
    "model_version": "VARCHAR",
    "error": "VARCHAR",
}


def column_types(top_k: int) -> dict[str, str]:
    """The columns of such a table, in order, with DuckDB's types."""
    kinds = {"set": "VARCHAR", "label": "VARCHAR", "probability": "DOUBLE"}
    return {name: kinds.get(name) or _TYPES.get(name) or kinds[name.rpartition("_")[0]] for name in columns(top_k)}


def write_parquet(lines: Path, target: Path, *, top_k: int, threads: int) -> None:
    """Write a table from a file with one JSON row a line; lines without a ``path`` are left out.

    Raises:
        OutputError: The system refuses to write it.
    """
    types = ", ".join(f"{quoted(name)}: '{kind}'" for name, kind in _TYPES.items())
    selection = ", ".join(_expression(name) for name in columns(top_k))
    source = f"read_json($1, format = 'newline_delimited', columns = {{{types}}})"
    # The target cannot be a parameter.
    statement = (
        f"COPY (SELECT {selection} FROM {source} WHERE path IS NOT NULL) TO {quoted(str(target))} (FORMAT parquet)"  # noqa: S608
    )
    with connect(threads, memory_limit=MEMORY) as database:
        import duckdb

        try:
            database.execute(statement, [literal(lines)])
        except duckdb.Error as error:
            raise OutputError(f"cannot write {str(target)!r}: {str(error).splitlines()[0]}") from error


def read_parquet(path: Path, top_k: int) -> Iterator[Row]:
    """Read back such a table, row by row.

    Raises:
        UsageError: It is something else, or was made with another ``top_k``.
    """
    with connect(memory_limit=MEMORY) as database:
        import duckdb

        try:
            result = database.execute("SELECT * FROM read_parquet($1)", [literal(path)])
            if [column[0] for column in result.description] != columns(top_k):
                raise UsageError(f"it has other columns than --top-k {top_k} gives")
            while batch := result.fetchmany(ROWS_AT_ONCE):
                for values in batch:
                    yield from_values(values)
        except (duckdb.Error, UsageError) as error:
            why = str(error).splitlines()[0]
            raise UsageError(f"cannot go on with {str(path)!r}: {why}; give another --output") from error


def read_columns(path: Path) -> list[str]:
    """The names of a file's columns.

    Raises:
        UsageError: It is no parquet.
    """
    with connect(memory_limit=MEMORY) as database:
        import duckdb

        try:
            result = database.execute("SELECT * FROM read_parquet($1) LIMIT 0", [literal(path)])
        except duckdb.Error as error:
            raise UsageError(f"{str(path)!r} is no parquet: {str(error).splitlines()[0]}") from error
        return [column[0] for column in result.description]


def _expression(column: str) -> str:
    if column == "set":
        return f"nullif(array_to_string(\"set\", '{SET_SEPARATOR}'), '') AS \"set\""
    name, _, rank = column.rpartition("_")
    if rank.isdecimal():
        return f'top[{rank}].{name} AS "{column}"'
    return f'"{column}"'
