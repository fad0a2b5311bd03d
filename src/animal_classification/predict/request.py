"""What a run of predictions is to do, checked for contradictions before anything is read or loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from animal_classification.errors import UsageError
from animal_classification.predict.writers.text import Format, format_of

if TYPE_CHECKING:
    from animal_classification.predict.field_request import FieldRequest
    from animal_classification.predict.sorting import Way


@dataclass(frozen=True, kw_only=True)
class PredictRequest:
    """What to do; the fields are options of ``animals predict``, and messages name them as such.

    Attributes:
        paths: Photos, folders and patterns.
        model: A built-in name, a bundle's folder or URL, or a name in the registry.
        engine: What runs the model.
        threads: CPUs to use; all by default.
        output: The table on disk; without it, rows go to a sink.
        format: Of the table, whatever its name ends with.
        top_k: How many guesses a photo.
        resume: Go on with the table.
        retry_errors: Look again at photos that could not be read.
        overwrite: Replace a file that is no table of ours.
        all_files: A row for every file, whatever its name ends with.
        sort_into: Put the photos into a folder for each animal below this one.
        way: How to sort; by copying if it is not said.
        keep_folders: Whether sorted photos keep the folders that they are in; if it is not said, they do in a field run
            in which two photos have one name, as on every card.
        dry_run: Write nothing at all; rows go to the sink, with what sorting would do.
        embeddings: Each answer carries the embedding of its photo, for sinks that keep it; no table has it.
        field: Animals in boxes, times, events; ``None``: every photo as a whole, and nothing else.
    """

    paths: tuple[str, ...]
    model: str = "photos"
    engine: str = "auto"
    threads: int | None = None
    output: str | None = None
    format: Format | None = None
    top_k: int = 5
    resume: bool = False
    retry_errors: bool = False
    overwrite: bool = False
    all_files: bool = False
    sort_into: str | None = None
    way: Way | None = None
    keep_folders: bool | None = None
    dry_run: bool = False
    embeddings: bool = False
    field: FieldRequest | None = None

    @property
    def writes_table(self) -> bool:
        """Whether rows go into a table on disk."""
        return self.output is not None and not self.dry_run

    @property
    def table_format(self) -> Format:
        """The format of the table: the one given, by the ending of the file, or csv."""
        return self.format or (format_of(self.output) if self.output else None) or "csv"

    def check(self) -> None:
        """Find contradictions.

        Raises:
            UsageError: There is one.
        """
        if self.field is not None:
            self.field.check()
        to_file = self.output is not None
        if self.output is not None and self.format is None and format_of(self.output) is None:
            raise UsageError(
                f"--output {self.output!r} ends in none of .csv, .xlsx, .json, .jsonl and .parquet; change it or add "
                "--format"
            )
        refuse_any(
            (self.resume and not to_file, "--resume goes on with a file: name it with --output"),
            (self.retry_errors and not self.resume, "--retry-errors looks again at photos of a table: add --resume"),
            (self.overwrite and not to_file, "--overwrite replaces a file: name it with --output"),
            (self.overwrite and self.resume, "--resume goes on with a table, --overwrite replaces it: drop one"),
            (self.dry_run and self.sort_into is None, "--dry-run shows what --sort-into would do: add --sort-into DIR"),
            (self.way is not None and self.sort_into is None, f"--{self.way} says how to sort: add --sort-into DIR"),
            (
                bool(self.keep_folders) and self.sort_into is None,
                "--keep-folders says how to sort: add --sort-into DIR",
            ),
            (
                self.embeddings and self.field is not None,
                "--embeddings are of whole photos: leave out --detector, --detections and --time-from",
            ),
        )


def refuse_any(*rules: tuple[bool, str]) -> None:
    """Raise the message of the first rule that is broken.

    Raises:
        UsageError: One is.
    """
    for broken, message in rules:
        if broken:
            raise UsageError(message)
