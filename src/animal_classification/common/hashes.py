"""SHA-256 of files."""

from __future__ import annotations

import hashlib
from pathlib import Path


def hash_file(path: Path) -> str:
    """The SHA-256 of a file's content in hexadecimal, without holding the file in memory.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_of_file(path: Path) -> str:
    """The same; empty where the file cannot be read, which its reader will tell."""
    try:
        return hash_file(path)
    except OSError:
        return ""
