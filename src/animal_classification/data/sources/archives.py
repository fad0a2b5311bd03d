"""Archives, unpacked once for each content, as if their author meant harm.

Only photos and tables come out; a name that leads outside is refused, links and devices are never made, and unpacking
stops when far more comes out than an archive of photos can hold.
"""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from animal_classification.common.hashes import hash_file
from animal_classification.common.zip_damage import DAMAGED
from animal_classification.data.cache_folder import new_folder
from animal_classification.data.sources.listing import is_hidden
from animal_classification.data.tabular import TABLE_SUFFIXES
from animal_classification.errors import AnimalsError
from animal_classification.imaging import is_photo_name

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
# An OSError is of the disk that is written to.
_DAMAGE = (*(kind for kind in DAMAGED if kind is not OSError), tarfile.TarError)
_CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class ArchiveLimits:
    """Bounds on what may come out of an archive.

    Attributes:
        max_files: Photos and tables together.
        max_bytes: All of them together.
        max_ratio: Bytes that come out for each byte of the archive; photos hardly shrink, bombs do.
        slack: Bytes that may come out whatever the ratio is.
    """

    max_files: int = 2_000_000
    max_bytes: int = 256 << 30
    max_ratio: int = 50
    slack: int = 64 << 20


_LIMITS = ArchiveLimits()


def is_archive_name(name: str) -> bool:
    """Whether a name ends like an archive that can be read here."""
    return name.lower().endswith(SUFFIXES)


def unpack(archive: Path, cache: Path, *, limits: ArchiveLimits = _LIMITS, where: str | None = None) -> Path:
    """Unpack an archive into the cache, or find it there.

    Args:
        archive: A zip or tar file.
        cache: Folder to unpack into.
        limits: Bounds on what may come out.
        where: Name for error messages instead of the path.

    Returns:
        The folder that holds its photos and tables.

    Raises:
        AnimalsError: It is damaged, protected or dangerous, or the cache cannot be written.
    """
    name = where or str(archive)
    try:
        content = hash_file(archive)
    except OSError as error:
        raise AnimalsError(f"cannot read {name!r}: {error.strerror}") from error
    folder = cache / "archives" / content[:32]
    if not folder.is_dir():
        with new_folder(folder) as temporary, _damage(name):
            _Unpacking(name, temporary, archive.stat().st_size, limits).run(archive)
    return folder


@dataclass
class _Unpacking:
    """One archive on its way to one folder."""

    name: str
    folder: Path
    size: int
    limits: ArchiveLimits
    files: int = 0
    written: int = 0
    _made: set[Path] = field(default_factory=set)

    def run(self, archive: Path) -> None:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as source:
                for member in source.infolist():
                    if not member.is_dir() and (target := self._target(member.filename)):
                        with source.open(member) as stream:
                            self._copy(stream, target)
        else:
            with tarfile.open(archive, "r|*") as source_tar:
                for entry in source_tar:
                    # isreg() leaves out links, devices and folders: none of them is ever made.
                    if (target := self._target(entry.name)) and entry.isreg():
                        stream_tar = source_tar.extractfile(entry)
                        assert stream_tar is not None
                        self._copy(stream_tar, target)

    def _target(self, member: str) -> Path | None:
        """Where a member goes; ``None`` for what is not wanted.

        Raises:
            AnimalsError: Out of the folder.
        """
        parts = safe_parts(member, self.name)
        if any(is_hidden(part) for part in parts):
            return None
        name = parts[-1] if parts else ""
        if not is_photo_name(name) and not name.lower().endswith(TABLE_SUFFIXES):
            return None
        return self.folder.joinpath(*parts)

    def _copy(self, stream: IO[bytes], target: Path) -> None:
        self.files += 1
        if self.files > self.limits.max_files:
            raise AnimalsError(f"{self.name!r} holds more than {self.limits.max_files:,} files; it was not unpacked")
        if target.parent not in self._made:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._made.add(target.parent)
        with target.open("xb") as file:
            while chunk := stream.read(_CHUNK):
                self._count(len(chunk))
                file.write(chunk)

    def _count(self, count: int) -> None:
        self.written += count
        # What the archive declares is not believed: what comes out is counted.
        most = min(self.limits.max_bytes, self.limits.slack + self.size * self.limits.max_ratio)
        if self.written > most:
            raise AnimalsError(
                f"{self.name!r} ({self.size:,} bytes) unpacks to more than {most:,} bytes, as no archive of photos "
                "does; it was not unpacked"
            )


def safe_parts(name: str, where: str) -> tuple[str, ...]:
    """The parts of a path from elsewhere.

    Raises:
        AnimalsError: It is absolute, or leads out of the folder that it starts from.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    parts = tuple(part for part in path.parts if part != ".")
    if path.is_absolute() or ".." in parts or any(":" in part for part in parts[:1]) or "\0" in name:
        raise AnimalsError(f"{where!r} holds the name {name!r}, which leads out of its folder; it was not unpacked")
    return parts


@contextmanager
def _damage(name: str) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        raise AnimalsError(
            f"{name!r} holds two files of one name ({Path(error.filename).name!r}); it was not unpacked"
        ) from error
    except _DAMAGE as error:
        protected = "password" in str(error).lower() or "encrypted" in str(error).lower()
        why = "it is protected by a password" if protected else f"it is damaged, or no archive ({error})"
        raise AnimalsError(f"cannot unpack {name!r}: {why}") from error
