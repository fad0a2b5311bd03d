"""The right word for a mistyped one: "; did you mean 'x'?"."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

FEW = 2
_MANY = 3


def nearest(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` of the nearest words, or nothing where none is near, or too many are.

    >>> nearest("finetun", ["cnn", "finetune", "probe"])
    "; did you mean 'finetune'?"
    """
    words = list(known)
    near = close(word, words)
    return did_you_mean(near if 0 < len(near) <= _MANY else alike(word, words))


def nearest_file(path: Path) -> str:
    """``; did you mean 'folder/x'?`` of the file or folder beside ``path`` whose name is most like its name."""
    try:
        names = [entry.name for entry in path.parent.iterdir()] if path.name else []
    except (OSError, ValueError):
        return ""
    # Not by edits: a folder may hold many thousand files.
    return did_you_mean(str(path.with_name(name)) for name in get_close_matches(path.name, names, n=1))


def did_you_mean(words: Iterable[str]) -> str:
    """``; did you mean 'x' or 'y'?``, or nothing where there are no words."""
    quoted = [repr(word) for word in words]
    return f"; did you mean {either(quoted)}?" if quoted else ""


def close(word: str, known: Iterable[str]) -> list[str]:
    """The words with the fewest edits from this one, if these are few.

    Of ``xy``, two edits make any word of two letters: a word of which nothing would be left is not mistyped.
    """
    edits = {other: distance(word, other) for other in known if abs(len(other) - len(word)) <= FEW}
    fewest = min(edits.values(), default=FEW + 1)
    if fewest > FEW or fewest >= len(word.rpartition(".")[2]):
        return []
    return [other for other, count in edits.items() if count == fewest]


def alike(word: str, known: Iterable[str]) -> list[str]:
    """The word that looks most like this one, if any does, however many letters differ; of ``a.b``, ``b`` counts."""
    endings = {other.rpartition(".")[2]: other for other in known}
    return [endings[match] for match in get_close_matches(word.rpartition(".")[2], endings, n=1, cutoff=0.6)]


def distance(one: str, other: str) -> int:
    """How many characters to insert, delete, change or swap with their neighbour (optimal string alignment)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, start=1):
        above, before, row = before, row, [i]
        for j, wanted in enumerate(other, start=1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                best = min(best, above[j - 2] + 1)
            row.append(best)
    return row[-1]


def either(words: Iterable[str]) -> str:
    """``a``, ``a or b``, ``a, b or c``."""
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last
