"""Photos into a folder per animal: copied or linked, never moved, never over another file, never outside the folder.

Doing it again changes nothing: a photo that is already there with the same content is left as it is.
"""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from animal_classification.common.atomic import NO_LINKS, put_file
from animal_classification.common.hashes import hash_file
from animal_classification.data.discovery import reason
from animal_classification.errors import OutputError, UsageError
from animal_classification.predict.journal import write_failed

Way = Literal["copy", "link", "symlink"]
WAYS: tuple[str, ...] = get_args(Way)
Outcome = Literal["copied", "linked", "already there", "failed"]

_UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
_RESERVED = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])(?:\..*)?", re.IGNORECASE)
_LONGEST = 100


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a photo went, or would go."""

    source: str
    target: Path
    outcome: Outcome


@dataclass
class _Namesakes:
    """What is known of the files whose name begins alike: ``a.jpg``, ``a-2.jpg``, ``a-3.jpg``.

    Each is read once, however many photos come that want the name: cards of cameras have an IMG_0001.JPG each.

    Attributes:
        first: The name without a number.
        looked_at: The numbers up to this one have been looked at.
        numbers: Where which content is.
    """

    first: Path
    looked_at: int = 0
    numbers: dict[bytes, int] = field(default_factory=dict)

    @property
    def next(self) -> Path:
        """The first name that has not been looked at."""
        return self._name(self.looked_at + 1)

    def note(self, content: bytes | None) -> bytes | None:
        """What is at ``next``; ``None`` for what is no file."""
        self.looked_at += 1
        if content is not None:
            self.numbers.setdefault(content, self.looked_at)
        return content

    def find(self, content: bytes) -> Path | None:
        """The file that holds this."""
        number = self.numbers.get(content)
        return None if number is None else self._name(number)

    def _name(self, number: int) -> Path:
        if number == 1:
            return self.first
        return self.first.with_name(f"{self.first.stem}-{number}{self.first.suffix}")


class Sorter:
    """Puts photos into folders below ``into``.

    Args:
        into: Made if it is not there.
        way: ``copy``, ``link`` (hard; a copy where the disk cannot) or ``symlink``.
        dry_run: Only say what would be done.
        keep_folders: Photos keep the folders that they are in, below the animal's.

    Attributes:
        outcomes: How often each outcome was met.
    """

    def __init__(self, into: str, way: Way, *, dry_run: bool = False, keep_folders: bool = False) -> None:
        self.into = Path(into).resolve()
        self.outcomes: Counter[Outcome] = Counter()
        self._way: Way = way
        self._dry_run = dry_run
        self._keep_folders = keep_folders
        self._planned: dict[Path, str] = {}
        self._namesakes: dict[Path, _Namesakes] = {}
        self._temporary = self.into / f".animals-{os.getpid()}.tmp"
        if self.into.exists() and not self.into.is_dir():
            raise UsageError(f"--sort-into {into!r} is a file, not a folder")
        if not dry_run:
            self._prepare(into)

    def place(self, source: str, animal: str, name: str = "") -> Placed:
        """Put one photo into the folder of ``animal``.

        Args:
            source: Where the photo is.
            animal: What it shows.
            name: Its name in the table, which says how many of its folders are kept.

        Raises:
            OutputError: The disk is full, or the folder may not be written.
        """
        kept = _kept_folders(source, name) if self._keep_folders else []
        folder = self.into / folder_name(animal)
        for part in ("", *kept):
            folder = folder / part
            if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
                raise OutputError(f"{str(folder)!r} is in the way of sorting: it is not a folder")
        try:
            if not self._dry_run:
                folder.mkdir(exist_ok=True, parents=bool(kept))
            placed = self._place(source, folder)
        except OSError as error:
            if not os.path.isfile(source) or not os.access(source, os.R_OK):  # noqa: PTH113 - never raises
                placed = Placed(source, folder / Path(source).name, "failed")
            else:
                raise write_failed(folder, error, "; what is sorted stays: go on with --resume") from error
        self.outcomes[placed.outcome] += 1
        return placed

    def _place(self, source: str, folder: Path) -> Placed:
        wanted = folder / Path(source).name
        namesakes = self._namesakes.get(wanted)
        if namesakes is None:
            if not self._is_taken(wanted):
                with suppress(FileExistsError):
                    return self._put_or_plan(source, wanted)
            if self._is_same_file(source, wanted):
                return Placed(source, wanted, "already there")
            namesakes = self._namesakes.setdefault(wanted, _Namesakes(wanted))
        content = _hash(source)
        there = namesakes.find(content)
        if there is not None and self._is_taken(there):
            return Placed(source, there, "already there")
        while True:
            target = namesakes.next
            if not self._is_taken(target):
                with suppress(FileExistsError):
                    placed = self._put_or_plan(source, target)
                    namesakes.note(content)
                    return placed
            if namesakes.note(self._content_of(target)) == content:
                return Placed(source, target, "already there")

    def _put_or_plan(self, source: str, target: Path) -> Placed:
        if self._dry_run:
            self._planned[target] = source
            return Placed(source, target, "copied" if self._way == "copy" else "linked")
        return Placed(source, target, self._put(Path(source), target))

    def _put(self, source: Path, target: Path) -> Outcome:
        if self._way == "symlink":
            target.symlink_to(source.resolve())
            return "linked"
        if self._way == "link":
            try:
                target.hardlink_to(source.resolve())
            except FileExistsError:
                raise
            except OSError as error:
                if error.errno not in NO_LINKS:
                    raise
            else:
                return "linked"
        self._copy(source, target)
        return "copied"

    def _copy(self, source: Path, target: Path) -> None:
        """Copy so that ``target`` appears whole, and never in place of another file."""
        try:
            shutil.copy2(source, self._temporary)
            put_file(self._temporary, target, existing="refuse")
        finally:
            self._temporary.unlink(missing_ok=True)

    def _is_taken(self, target: Path) -> bool:
        return target in self._planned or os.path.lexists(target)

    def _is_same_file(self, source: str, target: Path) -> bool:
        """Whether the target is the source itself, by a link: told without reading either."""
        if target in self._planned or not target.is_file():
            return False
        mine, theirs = Path(source).stat(), target.stat()
        # Some mounts give every file the inode 0.
        return mine.st_ino != 0 and os.path.samestat(mine, theirs)

    def _content_of(self, target: Path) -> bytes | None:
        if target in self._planned:
            return _hash(self._planned[target])
        return _hash(target) if target.is_file() else None

    def _prepare(self, into: str) -> None:
        try:
            self.into.mkdir(exist_ok=True)
            for leftover in self.into.glob(".animals-*.tmp"):
                if not _is_running(leftover.name.split("-")[1].removesuffix(".tmp")):
                    leftover.unlink()
            self._temporary.touch()
            self._temporary.unlink()
        except FileNotFoundError as error:
            raise OutputError(f"cannot make {into!r}: there is no folder {str(self.into.parent)!r}") from error
        except OSError as error:
            raise OutputError(f"cannot sort into {into!r}: {reason(error)}") from error


def names_repeat(paths: Iterable[str]) -> bool:
    """Whether two files have one name, as ``IMG_0001.JPG`` is on every card; capitals do not tell them apart."""
    seen: set[str] = set()
    for path in paths:
        name = Path(path).name.casefold()
        if name in seen:
            return True
        seen.add(name)
    return False


def _kept_folders(source: str, name: str) -> list[str]:
    """The folders of a photo that its name in the table has, as they are spelt on disk."""
    count = sum(part != "" for part in name.split("/")[:-1])
    return [folder_name(part) for part in Path(source).parts[:-1][-count:]] if count else []


def refuse_overlap(into: str, folders: Sequence[str]) -> None:
    """Refuse to sort into a folder that is being read, or that holds one: its content would be read again.

    Raises:
        UsageError: It is so.
    """
    target = Path(into).resolve()
    for folder in folders:
        source = Path(folder).resolve()
        if target == source or target in source.parents:
            raise UsageError(
                f"--sort-into {into!r} is, or holds, the folder {folder!r} that is read; give a folder beside or in it"
            )


def folder_name(animal: str) -> str:
    """An animal's name as a folder's name that every system takes.

    >>> folder_name("lion"), folder_name("cat/dog"), folder_name("CON"), folder_name("..")
    ('lion', 'cat_dog', 'CON_', '_')
    """
    name = _UNSAFE.sub("_", animal).strip()
    while len(name.encode("utf-8", "surrogateescape")) > _LONGEST:
        name = name[:-1]
    name = name.rstrip(". ").lstrip(".")
    return f"{name}_" if not name or _RESERVED.fullmatch(name) else name


def _hash(file: str | Path) -> bytes:
    return bytes.fromhex(hash_file(Path(file)))


def _is_running(process: str) -> bool:
    if os.name == "nt" or not process.isdecimal():
        return True
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
