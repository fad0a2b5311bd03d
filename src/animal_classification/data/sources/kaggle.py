"""Kaggle data sets by id, through kagglehub, which keeps them in its own cache."""

# Imported where they are used: kagglehub is an extra.

from __future__ import annotations

import re
from pathlib import Path

from animal_classification.errors import AnimalsError, MissingExtraError, UsageError

PREFIX = "kaggle:"
DEFAULT = "antobenedetti/animals"
_HANDLE = re.compile(r"[\w-]+/[\w.-]+(/versions/\d+)?")


def is_kaggle(reference: str) -> bool:
    """Whether ``kaggle``, or ``kaggle:`` and an id."""
    return reference == PREFIX[:-1] or reference.startswith(PREFIX)


def fetch_kaggle(reference: str) -> Path:
    """Fetch a data set, or find it in kagglehub's cache.

    Args:
        reference: ``kaggle:OWNER/NAME``, also with ``/versions/N``; ``kaggle`` alone is the students' five animals.

    Returns:
        The folder that it was unpacked into.

    Raises:
        UsageError: No such id can exist.
        MissingExtraError: kagglehub is not installed.
        AnimalsError: It cannot be fetched.
    """
    handle = reference.removeprefix(PREFIX[:-1]).removeprefix(":").strip("/") or DEFAULT
    if not _HANDLE.fullmatch(handle):
        raise UsageError(f"{reference!r} is no Kaggle data set; wanted: {PREFIX}OWNER/NAME, such as {PREFIX}{DEFAULT}")
    try:
        import kagglehub
    except ImportError as error:
        raise MissingExtraError("fetching from Kaggle", "data") from error
    try:
        return Path(kagglehub.dataset_download(handle))
    except Exception as error:  # kagglehub, its SDK and requests have many exceptions and no common one
        if kept := _newest_kept(handle):
            return kept
        raise AnimalsError(
            f"cannot fetch {handle} from Kaggle ({_reason(error)}); check the id and the network, or download "
            f"https://www.kaggle.com/datasets/{handle} by hand and name its folder or .zip instead"
        ) from error


def _reason(error: Exception) -> str:
    name = type(error).__name__
    lines = str(error).strip().splitlines()
    # What requests says of a lost connection is five errors inside each other.
    return name if not lines or name == "ConnectionError" else f"{name}: {lines[0][:200]}"


def _newest_kept(handle: str) -> Path | None:
    """Without a network nobody can say which version is the newest; the newest that is here will do."""
    from kagglehub.config import get_cache_folder

    owner, name = handle.split("/")[:2]
    versions = Path(get_cache_folder(), "datasets", owner, name, "versions")
    wanted = handle.rsplit("/", 1)[1] if "/versions/" in handle else "*"
    complete = [
        path
        for path in versions.glob(wanted)
        if path.name.isdecimal() and path.is_dir() and (versions.parent / f"{path.name}.complete").exists()
    ]
    return max(complete, key=lambda path: int(path.name), default=None)
