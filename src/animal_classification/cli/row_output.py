"""Rows on the standard output: as a table, in one JSON object, or as the plan of what sorting would do."""

# Imported where they are used: rich takes 50 ms to load, and only a terminal needs it.

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import IO, TYPE_CHECKING, Any, cast

from animal_classification.common.console import printable
from animal_classification.errors import OutputError
from animal_classification.predict.job import Sink
from animal_classification.predict.request import refuse_any
from animal_classification.predict.writers.text import Format, TextWriter, to_json

if TYPE_CHECKING:
    from animal_classification.predict.job import PredictedPhoto
    from animal_classification.predict.request import PredictRequest
    from animal_classification.predict.sorting import Placed
    from animal_classification.predict.table import Row


class StdoutSink(Sink):
    """Rows to the standard output, each as soon as it is known."""

    def __init__(self, kind: Format, top_k: int) -> None:
        self._writer = TextWriter(kind, top_k)
        self._is_csv = kind == "csv"
        self._out = Stdout()

    def start(self) -> None:
        self._out.write(self._writer.start())

    def add(self, photo: PredictedPhoto, placed: Placed | None) -> None:
        row = photo.entry.row
        if self._is_csv:
            self._out.write(self._writer.row(_printable(row) if self._out.is_terminal else row))
        else:
            self._out.write_json(self._writer.row(row))

    def finish(self) -> None:
        self._out.write(self._writer.end())


class ObjectSink(Sink):
    """Rows for ``--json``: kept in a temporary file, because the object begins with what is known last."""

    def __init__(self) -> None:
        self._rows: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._first = True

    def add(self, photo: PredictedPhoto, placed: Placed | None) -> None:
        try:
            self._rows.write((b"" if self._first else b",\n") + to_json(photo.entry.row))
        except OSError as error:
            raise OutputError(f"cannot keep rows in {tempfile.gettempdir()!r}: {error.strerror}") from error
        self._first = False

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


class PlanSink(Sink):
    """What sorting would do: a line per photo, or pairs for ``--json``."""

    def __init__(self, *, as_json: bool) -> None:
        self.moves: list[dict[str, str]] = []
        self._out = None if as_json else Stdout()

    def add(self, photo: PredictedPhoto, placed: Placed | None) -> None:
        name = photo.entry.row["path"]
        if self._out is not None:
            self._out.write(f"{printable(_plan(name, photo, placed))}\n".encode(errors="backslashreplace"))
        elif placed is not None:
            self.moves.append({"path": name, "to": _readable(str(placed.target)), "outcome": placed.outcome})


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


def check_output(request: PredictRequest, *, to_stdout: bool, as_json: bool) -> None:
    """Find contradictions, in the request and with the standard output.

    Args:
        request: What to do.
        to_stdout: The table is to go there.
        as_json: One object is to go there.

    Raises:
        UsageError: There is one.
    """
    request.check()
    to_file = request.output is not None
    table_there = not (request.dry_run or to_file or as_json)
    refuse_any(
        (as_json and to_stdout, "--json and --output - both want the standard output: drop one"),
        (
            as_json and request.format is not None and not to_file,
            "--json prints one object, --format a table: drop one, or name a file with --output",
        ),
        (
            table_there and request.format in ("parquet", "xlsx"),
            f"{request.format} cannot go to the standard output: name a file with --output",
        ),
    )


@contextmanager
def open_sink(request: PredictRequest, *, to_stdout: bool, as_json: bool) -> Iterator[Sink | None]:
    """Where rows go that go into no table on disk; ``None`` where they do."""
    if request.writes_table:
        yield None
    elif request.dry_run:
        yield PlanSink(as_json=as_json)
    elif as_json:
        with closing(ObjectSink()) as sink:
            yield sink
    elif to_stdout or request.format is not None or not sys.stdout.isatty():
        yield StdoutSink(request.table_format, request.top_k)
    else:
        from animal_classification.cli.screen_table import ScreenSink

        yield ScreenSink()


def print_object(summary: dict[str, Any], sink: Sink | None) -> None:
    """Print what ``--json`` prints: the summary, and what the sink has kept."""
    if isinstance(sink, ObjectSink):
        sink.print_after(summary)
        return
    moves = {"moves": sink.moves} if isinstance(sink, PlanSink) else {}
    Stdout().write_json(to_json({**summary, **moves}) + b"\n")


def _plan(name: str, photo: PredictedPhoto, placed: Placed | None) -> str:
    if placed is None:
        return f"{name}: stays where it is ({photo.entry.row['error']})"
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
