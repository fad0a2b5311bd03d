"""What was asked for, checked for contradictions before anything is read or loaded."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Literal, cast

from animal_classification.errors import UsageError
from animal_classification.predict.writers.text import Format, format_of

Target = Literal["file", "stream", "screen", "object", "plan"]


@dataclass(frozen=True, kw_only=True)
class PredictRequest:
    """The options of ``animals predict``; see there."""

    paths: tuple[str, ...]
    model: str
    engine: str
    threads: int | None
    output: str | None
    format: Format | None
    top_k: int
    resume: bool
    retry_errors: bool = False
    overwrite: bool = False
    all_files: bool = False
    sort_into: str | None
    way: Literal["copy", "link", "symlink"] | None
    dry_run: bool
    as_json: bool
    quiet: bool

    @property
    def target(self) -> Target:
        """Where rows go."""
        if self.dry_run:
            return "plan"
        if self.output not in (None, "-"):
            return "file"
        if self.as_json:
            return "object"
        if self.output == "-" or self.format is not None or not sys.stdout.isatty():
            return "stream"
        return "screen"

    @property
    def table_format(self) -> Format:
        """The format of the table: as asked for, by the ending of the file, or csv."""
        return self.format or (format_of(self.output) if self.output else None) or "csv"

    def check(self) -> None:
        """Find contradictions.

        Raises:
            UsageError: There is one.
        """
        to_file = self.output not in (None, "-")
        if to_file and self.format is None and format_of(cast("str", self.output)) is None:
            raise UsageError(
                f"--output {self.output!r} ends in none of .csv, .xlsx, .json, .jsonl and .parquet; change it or add "
                "--format"
            )
        rules = (
            (self.resume and not to_file, "--resume goes on with a file: name it with --output"),
            (self.retry_errors and not self.resume, "--retry-errors looks again at photos of a table: add --resume"),
            (self.overwrite and not to_file, "--overwrite replaces a file: name it with --output"),
            (self.overwrite and self.resume, "--resume goes on with a table, --overwrite replaces it: drop one"),
            (self.dry_run and self.sort_into is None, "--dry-run shows what --sort-into would do: add --sort-into DIR"),
            (self.way is not None and self.sort_into is None, f"--{self.way} says how to sort: add --sort-into DIR"),
            (self.as_json and self.output == "-", "--json and --output - both want the standard output: drop one"),
            (
                self.as_json and self.format is not None and not to_file,
                "--json prints one object, --format a table: drop one, or name a file with --output",
            ),
            (
                self.target == "stream" and self.table_format in ("parquet", "xlsx"),
                f"{self.table_format} cannot go to the standard output: name a file with --output",
            ),
        )
        for broken, message in rules:
            if broken:
                raise UsageError(message)
