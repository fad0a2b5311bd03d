"""Where this room keeps what it need not do twice; any of it may be deleted at any time."""

from __future__ import annotations

import hashlib
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from animal_classification.errors import AnimalsError

CHUNK = 1 << 20


def default_directory() -> Path:
    """The user's cache directory for data, as the system defines it (``XDG_CACHE_HOME`` on Linux)."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("animals")) / "data"


def hash_file(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder that becomes ``target`` when the block ends well, and vanishes otherwise.

    Raises:
        AnimalsError: The cache cannot be written.
    """
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        try:
            temporary.rename(target)
        except OSError:
            if not target.is_dir():  # else another process was faster, with the same content
                raise
    except OSError as error:
        raise cache_error(target.parent, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def cache_error(folder: Path, error: OSError) -> AnimalsError:
    """What to raise where the cache fails."""
    return AnimalsError(
        f"{str(folder)!r}: the cache cannot be written ({error.strerror or error}); free space, or set XDG_CACHE_HOME"
    )
