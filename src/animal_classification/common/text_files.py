"""Text files: read with one clear line where they cannot be, written whole or not at all."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

from animal_classification.common.atomic import new_file
from animal_classification.errors import OutputError, UsageError

MOST_TEXT = 64 << 20  # characters of a file that people write


def read_text(path: Path, most: int = MOST_TEXT) -> str:
    """The content of a file in UTF-8, of at most so many characters.

    Raises:
        UsageError: There is none, it is no text, or it has more.
    """
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(most + 1)
    except OSError as error:
        raise UsageError(f"cannot read {str(path)!r}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{str(path)!r} is not text in UTF-8: {error.reason}") from error
    if len(text) > most:
        raise UsageError(f"{str(path)!r} has more than {most:,} characters: it is too large for what it should be")
    return text


def write_text(text: str, target: Path) -> None:
    """Write a file, and the folders above it; one of that name is replaced in one step.

    Raises:
        OutputError: The system refuses.
    """
    _write(text, target, parents=True)


def replace_text(text: str, target: Path) -> None:
    """The same in a folder that is there.

    Raises:
        OutputError: The system refuses.
    """
    _write(text, target, parents=False)


def refuse_foreign(target: Path, is_ours: Callable[[bytes], bool], what: str, hint: str = "give another name") -> None:
    """Refuse to replace a file that somebody else made; an empty one may go.

    Args:
        target: The file to be.
        is_ours: Whether content is what this program writes there.
        what: What that would be, for the message: ``page``.
        hint: What to do.

    Raises:
        UsageError: There is another file of that name.
        OutputError: It cannot be read.
    """
    if not target.is_file():
        return
    try:
        content = target.read_bytes()
    except OSError as error:
        raise OutputError(f"cannot read {str(target)!r}, which would be replaced: {error.strerror}") from error
    if content and not is_ours(content):
        raise UsageError(f"{str(target)!r} is there, and no {what} that animals wrote: {hint}")


def cannot_write(target: Path, error: OSError, hint: str = "") -> OutputError:
    """What to raise where the system refuses to write a file or folder.

    Args:
        target: The file or folder.
        error: What the system said.
        hint: What to do about it, in the same line; unless given, to make room where there is none.
    """
    if not hint and error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "make room"
    return OutputError(f"cannot write {str(target)!r}: {error.strerror or error}{hint and '; '}{hint}")


def _write(text: str, target: Path, *, parents: bool) -> None:
    try:
        with new_file(target, parents=parents) as temporary:
            temporary.write_bytes(text.encode("utf-8", "replace"))
    except OSError as error:
        raise cannot_write(target, error) from error
