"""From a name to a verified bundle."""

from __future__ import annotations

import os
from pathlib import Path

from animal_classification.bundle.cache import Cache, default_directory
from animal_classification.bundle.location import Remote, locate
from animal_classification.bundle.model import Bundle, verified
from animal_classification.bundle.schema import INFO_FILE
from animal_classification.common.suggest import nearest
from animal_classification.errors import BundleError, BundleNotFoundError


def load(ref: str | os.PathLike[str], *, cache_dir: Path | None = None) -> Bundle:
    """Finds a bundle, checks everything about it, and returns it.

    Args:
        ref: A built-in name (``photos``), a local directory, or an fsspec URL (``gs://bucket/models/zoo``). A built-in
            name wins over a directory of that name in the current one; write ``./photos`` for the latter.
        cache_dir: Where remote bundles are kept; the user's cache directory unless given.

    Returns:
        The bundle; a remote one's ``path`` is in the cache.

    Raises:
        BundleNotFoundError: Nothing there, or not reachable.
        BundleInvalidError: A hash, the schema or a shape is wrong; names the file and what to do.
        BundleVersionError: Written by a newer version of this package.
        UsageError: Not the name of anything that can be loaded.
        MissingExtraError: A package for this kind of address is not installed.
    """
    if isinstance(ref, str) and ref in builtin_names():
        return verified(_builtin_directory() / ref)
    place = locate(ref)
    if isinstance(place, Remote):
        return Cache(cache_dir or default_directory()).load(place)
    try:
        _check_there(place)
    except OSError as error:
        raise BundleError(f"{place}: cannot be read ({error})") from error
    return verified(place.absolute(), str(place))


def builtin_names() -> tuple[str, ...]:
    """The models that come with this package."""
    directory = _builtin_directory()
    return tuple(sorted(path.parent.name for path in directory.glob(f"*/{INFO_FILE}")))


def _builtin_directory() -> Path:
    # Not importlib.resources: the engines want a real directory anyway, and it takes 10 ms to import.
    return Path(__file__).parents[1] / "models"


def _check_there(path: Path) -> None:
    if path.is_file():
        raise BundleNotFoundError(f"{path}: is a file; name the directory that holds {INFO_FILE}")
    if path.is_dir() and not (path / INFO_FILE).exists():
        raise BundleNotFoundError(f"{path}: holds no {INFO_FILE}, so it is not a bundle; name a bundle's directory")
    if not path.is_dir():
        names = builtin_names()
        hint = nearest(str(path), names) or f" ({', '.join(names) or 'there is none'})"
        raise BundleNotFoundError(f"{path}: no such model; name a bundle's directory, a URL or a built-in model{hint}")
