"""Where rows go: a file, the standard output, one JSON object, or a plan of what sorting would do."""

from __future__ import annotations

import json
import sys
import tempfile
from typing import IO, TYPE_CHECKING, Any, Protocol, cast

from animal_classification.common.console import printable
from animal_classification.errors import OutputError
from animal_classification.predict.writers.text import Format, TextWriter, to_json

if TYPE_CHECKING:
    from animal_classification.predict.batch import Item
    from animal_classification.predict.sorting import Placed
    from animal_classification.predict.table import Row
    from animal_classification.predict.writers.table_file import TableFile


class Sink(Protocol):
    """Takes items one by one, then ``finish`` or, if the run was interrupted, ``stop``."""

    def add(self, item: Item, placed: Placed | None) -> None: ...

    def finish(self) -> None: ...

    def stop(self) -> str:
        """End early; returns where the rows are, to be continued with what comes next in the line."""
        ...

    def close(self) -> None: ...


class FileSink:
    """Rows into a table on disk."""

    def __init__(self, table: TableFile) -> None:
        self._table = table

    def add(self, item: Item, placed: Placed | None) -> None:
        self._table.append(item.entry)

    def finish(self) -> None:
        self._table.finish()

    def stop(self) -> str:
        name = str(self._table.path)
        if self._table.stop() == "kept apart":
            return f", kept beside {name!r}, which stays as it was; go on with --resume"
        return f", kept in {name!r}; go on with --resume"

    def close(self) -> None:
        self._table.close()


class StreamSink:
    """Rows to the standard output, each as soon as it is known."""

    def __init__(self, kind: Format, top_k: int) -> None:
        self._writer = TextWriter(kind, top_k)
        self._is_csv = kind == "csv"
        self._out = Stdout()
        self._out.write(self._writer.start())

    def add(self, item: Item, placed: Placed | None) -> None:
        row = item.entry.row
        if self._is_csv:
            self._out.write(self._writer.row(_printable(row) if self._out.is_terminal else row))
        else:
            self._out.write_json(self._writer.row(row))

    def finish(self) -> None:
        self._out.write(self._writer.end())

    def stop(self) -> str:
        self.finish()
        return ""

    def close(self) -> None:
        pass


class ObjectSink:
    """Rows for ``--json``: kept in a temporary file, because the object begins with what is known last."""

    def __init__(self) -> None:
        self._rows: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._first = True

    def add(self, item: Item, placed: Placed | None) -> None:
        try:
            self._rows.write((b"" if self._first else b",\n") + to_json(item.entry.row))
        except OSError as error:
            raise OutputError(f"cannot keep rows in {tempfile.gettempdir()!r}: {error.strerror}") from error
        self._first = False

    def finish(self) -> None:
        pass

    def stop(self) -> str:
        return ""

    def close(self) -> None:
        self._rows.close()

    def print_after(self, summary: dict[str, Any]) -> None:
        """Print the object: the summary, then the rows as ``predictions``."""
        out = Stdout()
        out.write_json(to_json(summary)[:-1] + b', "predictions": [')
        self._rows.seek(0)
        for line in self._rows:
            out.write_json(line)
        out.write(b"]}\n")


class PlanSink:
    """What sorting would do: a line per photo, or pairs for ``--json``."""

    def __init__(self, *, as_json: bool) -> None:
        self.moves: list[dict[str, str]] = []
        self._out = None if as_json else Stdout()

    def add(self, item: Item, placed: Placed | None) -> None:
        name = item.entry.row["path"]
        if self._out is not None:
            self._out.write(f"{printable(_plan(name, item, placed))}\n".encode(errors="backslashreplace"))
        elif placed is not None:
            self.moves.append({"path": name, "to": _readable(str(placed.target)), "outcome": placed.outcome})

    def finish(self) -> None:
        pass

    def stop(self) -> str:
        return ""

    def close(self) -> None:
        pass


class Stdout:
    """The standard output as bytes, flushed at every write."""

    def __init__(self) -> None:
        self.is_terminal = sys.stdout.isatty()
        self._bytes = getattr(sys.stdout, "buffer", None)

    def write(self, data: bytes) -> None:
        """Write.

        Raises:
            OutputError: The system refuses, other than by a reader that went away.
        """
        try:
            if self._bytes is None:
                sys.stdout.write(data.decode("utf-8"))
            else:
                self._bytes.write(data)
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            why = (error.strerror or type(error).__name__).lower()
            raise OutputError(f"cannot write to the standard output: {why}") from error

    def write_json(self, data: bytes) -> None:
        """Write JSON; on a terminal with escapes for what JSON lets through and a terminal would obey."""
        self.write(_harmless(data) if self.is_terminal else data)


def print_object(value: dict[str, Any]) -> None:
    Stdout().write_json(to_json(value) + b"\n")


def _plan(name: str, item: Item, placed: Placed | None) -> str:
    if placed is None:
        return f"{name}: stays where it is ({item.entry.row['error']})"
    note = " (already there)" if placed.outcome == "already there" else ""
    return f"{name} -> {placed.target}{note}"


def _readable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _printable(row: Row) -> Row:
    shown = {name: printable(value) if isinstance(value, str) else value for name, value in row.items()}
    guesses = [{**guess, "label": printable(guess["label"])} for guess in row["top"]]
    return cast("Row", {**shown, "set": [printable(label) for label in row["set"]], "top": guesses})


def _harmless(data: bytes) -> bytes:
    return "".join(
        character if character == "\n" or printable(character) == character else json.dumps(character)[1:-1]
        for character in data.decode("utf-8")
    ).encode("utf-8")
