"""Addresses such as ``gs://bucket/folder``, opened by fsspec."""

# Imported where they are used: fsspec takes 30 ms to load, and most files are local.

from __future__ import annotations

from pathlib import Path
from typing import Any

from animal_classification.errors import MissingExtraError, UsageError

_EXTRAS = {"gs": "gcs", "gcs": "gcs", "s3": "s3", "s3a": "s3", "http": "http", "https": "http"}


def open_url(url: str, purpose: str, **options: Any) -> Path | tuple[Any, str]:
    """Find the file system of an address; asks nothing of the place yet.

    Args:
        url: ``PROTOCOL://PLACE``.
        purpose: What is to be done there, such as ``reading``.
        options: For the file system.

    Returns:
        A path where it is on this machine, else an ``fsspec.AbstractFileSystem`` (fsspec has no types) and the place as
        it calls it.

    Raises:
        UsageError: An address of an unknown kind.
        MissingExtraError: A package for this kind of address is not installed.
        Exception: The file system cannot be opened; each kind has exceptions of its own.
    """
    from fsspec.core import url_to_fs
    from fsspec.implementations.local import LocalFileSystem

    protocol = url.partition("://")[0]
    try:
        filesystem, root = url_to_fs(url, **options)
    except ImportError as error:
        if protocol in _EXTRAS:
            raise MissingExtraError(f"{purpose} {protocol}:// addresses", _EXTRAS[protocol]) from error
        raise UsageError(f"{url}: {error}") from error
    except ValueError as error:
        raise UsageError(f"{url}: {error}; a folder, gs://, s3:// or https:// would do") from error
    return Path(root) if isinstance(filesystem, LocalFileSystem) else (filesystem, root)


def in_a_line(error: Exception) -> str:
    """An exception's kind and the first line of what it says."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
