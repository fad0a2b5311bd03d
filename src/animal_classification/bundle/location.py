"""Where a bundle is: a local directory, or an address that fsspec opens."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from animal_classification.common.urls import in_a_line, open_url
from animal_classification.errors import BundleNotFoundError, UsageError


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
            f"{self.url}: cannot be reached ({in_a_line(error)}); check the address, the network and your sign-in, "
            "or copy the bundle here and name its directory"
        )


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
    try:
        found = open_url(url, "reading and writing")
    except UsageError:
        raise
    except Exception as error:
        raise Remote(url, None, "").unreachable(error) from error
    return found if isinstance(found, Path) else Remote(url, *found)
