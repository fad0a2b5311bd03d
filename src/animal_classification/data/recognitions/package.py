"""The files of a package that somebody else made: a folder or a zip, and nothing outside of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from animal_classification.data.recognitions.document import ZippedFolder, read_bytes
from animal_classification.errors import UsageError


class PackageFiles(Protocol):
    """Reads the files of a package by their names in it."""

    def read(self, name: str) -> bytes:
        """A file's content.

        Raises:
            UsageError: There is no such file in the package, or its name leads out of it.
        """


@dataclass(frozen=True)
class FolderPackage:
    """A package in a folder."""

    folder: Path

    def read(self, name: str) -> bytes:
        """A file's content."""
        file = self.folder / _inside(name, str(self.folder))
        if not file.resolve().is_relative_to(self.folder.resolve()) or not file.is_file():
            raise UsageError(f"{str(self.folder)!r} has no file {name!r}, which its descriptor names")
        return read_bytes(file)


@dataclass(frozen=True)
class ZipPackage:
    """A package in a zip.

    Attributes:
        archive: The zip.
        folder: Where in it the descriptor lies.
    """

    archive: Path
    folder: str = ""

    def read(self, name: str) -> bytes:
        """A file's content."""
        member = (PurePosixPath(self.folder) / _inside(name, str(self.archive))).as_posix()
        zipped = ZippedFolder(self.archive)
        if member not in zipped.names():
            raise UsageError(f"{str(self.archive)!r} has no file {member!r}, which its descriptor names")
        return zipped.read(member)


def _inside(name: str, where: str) -> str:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or "://" in name or "\0" in name:
        raise UsageError(f"{where!r}: its descriptor names {name!r}, which is not in the package; nothing was read")
    return str(path)
