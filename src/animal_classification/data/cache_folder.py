"""The cache folder of this room; anything in it may be deleted at any time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from animal_classification.common import atomic
from animal_classification.errors import AnimalsError

CHUNK = 1 << 20


def default_directory() -> Path:
    """The user's cache directory for data, as the system defines it (``XDG_CACHE_HOME`` on Linux)."""
    return Path(platformdirs.user_cache_dir("animals")) / "data"


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder that becomes ``target`` when the block ends well, and is deleted otherwise.

    Raises:
        AnimalsError: The cache cannot be written.
    """
    try:
        with atomic.new_folder(target, existing="keep") as temporary:
            yield temporary
    except OSError as error:
        raise cache_error(target.parent, error) from error


def cache_error(folder: Path, error: OSError) -> AnimalsError:
    """The error for a cache that cannot be written."""
    return AnimalsError(
        f"{str(folder)!r}: the cache cannot be written ({error.strerror or error}); free space, or set XDG_CACHE_HOME"
    )
