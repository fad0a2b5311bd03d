"""Text files: read with one clear line where they cannot be, written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import uuid
from pathlib import Path

from animal_classification.errors import OutputError, UsageError


def read_text(path: Path) -> str:
    """The content of a file in UTF-8.

    Raises:
        UsageError: There is none, or it is no text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot read {str(path)!r}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{str(path)!r} is not text in UTF-8: {error.reason}") from error


def write_text(text: str, target: Path) -> None:
    """Write a file, and the folders above it; one of that name is replaced in one step.

    Raises:
        OutputError: The system refuses.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refused(target, error) from error
    replace_text(text, target)


def replace_text(text: str, target: Path) -> None:
    """The same in a folder that is there.

    Raises:
        OutputError: The system refuses.
    """
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8", errors="replace")
        temporary.replace(target)
    except OSError as error:
        raise _refused(target, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _refused(target: Path, error: OSError) -> OutputError:
    hint = "; make room" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
    return OutputError(f"cannot write {str(target)!r}: {error.strerror or error}{hint}")
