"""The registry that was used last: it lies in the working folder, and people change folders."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import platformdirs

from animal_classification.common.atomic import write_bytes


def _note() -> Path:
    return Path(platformdirs.user_state_dir("animals")) / "registry"


def remember(file: Path) -> None:
    """Note a registry's SQLite file. It is a convenience: where nothing can be written, nothing is noted."""
    note = _note()
    text = str(file.absolute())
    with suppress(OSError):
        if note.is_file() and note.read_text(encoding="utf-8") == text:
            return
        note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_bytes(text.encode("utf-8"), note, durable=False)


def recall() -> Path | None:
    """The file that was noted last, if it is still there."""
    with suppress(OSError, UnicodeDecodeError):
        file = Path(_note().read_text(encoding="utf-8"))
        return file if file.is_file() else None
    return None
