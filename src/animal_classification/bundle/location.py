"""Where a bundle is: a local directory, or a place that fsspec reaches."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from animal_classification.errors import BundleNotFoundError, MissingExtraError, UsageError

_EXTRAS = {"gs": "gcs", "gcs": "gcs", "s3": "s3", "s3a": "s3"}


@dataclass(frozen=True)
class Remote:
    """A directory behind an fsspec file system.

    Attributes:
        url: As the caller wrote it, for messages.
        filesystem: An ``fsspec.AbstractFileSystem``; fsspec has no types.
        root: The directory as the file system names it.
    """

    url: str
    filesystem: Any
    root: str

    def path(self, name: str) -> str:
        """One file of the directory, as the file system names it."""
        return f"{self.root.rstrip('/')}/{name}"

    def unreachable(self, error: Exception) -> BundleNotFoundError:
        """What to raise when reading fails; backends have exceptions of their own, so that any may come."""
        return BundleNotFoundError(
            f"{self.url}: cannot be reached ({reason(error)}); check the address, the network and your sign-in, "
            "or copy the bundle here and name its directory"
        )


def reason(error: Exception) -> str:
    """An exception in one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def locate(reference: str | os.PathLike[str]) -> Path | Remote:
    """Tells a local directory from a remote one, and opens the latter's file system.

    Raises:
        UsageError: An empty name, a registry name, or an address of an unknown kind.
        MissingExtraError: A package for this kind of address is not installed.
        BundleNotFoundError: The file system cannot be opened.
    """
    if not isinstance(reference, str):
        return Path(reference)
    if not reference:
        raise UsageError("the model's name is empty: give a directory, a URL or a built-in name such as photos")
    if reference.startswith("models:"):
        raise UsageError(
            f"{reference}: is a name of the model registry; registry.resolve_model finds the folder of its bundle"
        )
    if "://" not in reference:
        return Path(reference).expanduser()
    return _open(reference)


def _open(url: str) -> Path | Remote:
    # Here and not above: most bundles are local, and fsspec takes tens of milliseconds to import.
    from fsspec.core import url_to_fs
    from fsspec.implementations.local import LocalFileSystem

    protocol = url.split("://", maxsplit=1)[0]
    try:
        filesystem, root = url_to_fs(url)
    except ImportError as error:
        if protocol in _EXTRAS:
            raise MissingExtraError(f"reading and writing {protocol}:// addresses", _EXTRAS[protocol]) from error
        raise UsageError(f"{url}: {error}") from error
    except ValueError as error:
        raise UsageError(f"{url}: {error}; a directory, gs://, s3:// or https:// would do") from error
    except Exception as error:
        raise Remote(url, None, "").unreachable(error) from error
    return Path(root) if isinstance(filesystem, LocalFileSystem) else Remote(url, filesystem, root)
