"""A user's list of the animals that occur: a text file of names, or a CSV with a column ``scientificName``."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from animal_classification.common.text_files import read_text
from animal_classification.errors import UsageError
from animal_classification.taxonomy.allowed import AllowedLabels
from animal_classification.taxonomy.label_words import LabelWords

if TYPE_CHECKING:
    from animal_classification.taxonomy.taxonomy import Taxonomy

_COLUMN = "scientificname"
_COMMENT = re.compile(r"(^|\s)#.*")
_BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True)
class SpeciesList:
    """What a list says about a model's labels.

    Attributes:
        allowed: The labels that are on it, themselves or by a taxon or group above them.
        warnings: Lines that mean none of the model's labels, one line of text each; only where these were let pass.
    """

    allowed: AllowedLabels
    warnings: tuple[str, ...] = ()


def read_species_list(path: Path, taxonomy: Taxonomy, *, lenient: bool = False) -> SpeciesList:
    """Read a list for a model.

    A line is a label, a label's id, a scientific name of any rank, or a group, in any case; ``#`` starts a comment.

    Args:
        path: UTF-8, with or without a byte order mark.
        taxonomy: The model's.
        lenient: Give a warning for a line that the model has no label for, in place of an error.

    Raises:
        UsageError: The file cannot be read, a line means nothing to the model (the line's number and the nearest
            names are said), or none does.
    """
    words = LabelWords(taxonomy)
    found: set[int] = set()
    misses: list[str] = []
    for number, word in _names(read_text(path), path):
        labels = words.find(word)
        found.update(labels)
        if not labels:
            misses.append(f"{path.name} line {number}: {word} is not one of the model's names{_hint(words, word)}")
    if misses and not lenient:
        more = f" (and {len(misses) - 1} more like it)" if len(misses) > 1 else ""
        raise UsageError(f"{misses[0]}{more}; --list-lenient goes on without it")
    if not found:
        raise UsageError(f"{str(path)!r} names none of the model's animals, so that nothing could be answered")
    allowed = AllowedLabels.only(found, len(taxonomy.labels), f"is not in {path.name}")
    return SpeciesList(allowed, tuple(misses))


def _hint(words: LabelWords, word: str) -> str:
    near = words.nearest(word)
    return f"; nearest: {', '.join(near)}" if near else ""


def _names(text: str, path: Path) -> Iterator[tuple[int, str]]:
    """Number of the line and the name on it."""
    text = text.removeprefix(_BYTE_ORDER_MARK)
    delimiter = _delimiter(text)
    yield from _cells(text, delimiter, path) if delimiter else _lines(text)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if word := _COMMENT.sub("", line).strip():
            yield number, word


def _delimiter(text: str) -> str | None:
    """What separates the columns of a table; ``None`` for a plain list."""
    header = text.split("\n", 1)[0].strip()
    columns = [re.sub(r"[\W_]", "", column).casefold() for column in re.split(r"[,;\t]", header)]
    if _COLUMN not in columns:
        return None
    return next((character for character in ",;\t" if character in header), ",")


def _cells(text: str, delimiter: str, path: Path) -> Iterator[tuple[int, str]]:
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    header = [re.sub(r"[\W_]", "", column).casefold() for column in next(reader)]
    column = header.index(_COLUMN)
    try:
        for row in reader:
            if column < len(row) and (word := row[column].strip()):
                yield reader.line_num, word
    except csv.Error as error:
        raise UsageError(f"{path.name} line {reader.line_num}: {error}") from error
