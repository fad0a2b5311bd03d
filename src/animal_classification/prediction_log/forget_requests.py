"""Requests to delete photos that are under way: what was asked for, and which photos that means.

    LOG-FOLDER/forgetting.json    the words of the request, and the SHA-256 of the photos behind each; gone at its end

A prediction's id means nothing any more once its row is gone, nor does a file that was deleted. So what they stood for
is written down before anything is deleted, and a process that is killed leaves a request that the next one ends.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from animal_classification.common.atomic import remove_leftovers
from animal_classification.common.file_lock import locked
from animal_classification.common.text_files import cannot_write, replace_text
from animal_classification.errors import AnimalsError, OutputError

FILE, LOCK = "forgetting.json", "forgetting.lock"


@dataclass(frozen=True)
class ForgetRequests:
    """The requests under way.

    Attributes:
        file: Where they are.
        photos: For each word the photos (SHA-256) that it means.
    """

    file: Path
    photos: Mapping[str, tuple[str, ...]]

    @classmethod
    def read(cls, folder: Path) -> ForgetRequests:
        """Those in the folder of a log.

        Raises:
            AnimalsError: They cannot be read.
        """
        file = folder / FILE
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            return cls(file, {str(word): tuple(map(str, photos)) for word, photos in found.items()})
        except FileNotFoundError:
            return cls(file, {})
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise AnimalsError(
                f"{str(file)!r}, a deletion that was begun, cannot be read ({error}): delete this file, and ask again "
                "for all that was asked for"
            ) from error

    @property
    def all_photos(self) -> tuple[str, ...]:
        """The photos of all requests, each once."""
        return tuple(dict.fromkeys(photo for photos in self.photos.values() for photo in photos))

    def begin(self, photos: Mapping[str, tuple[str, ...]]) -> ForgetRequests:
        """These requests as well; written down where the log has a folder.

        Raises:
            OutputError: The file cannot be written.
        """
        both = {**self.photos, **photos}
        if self.file.parent.is_dir():
            replace_text(json.dumps(both) + "\n", self.file)
        return ForgetRequests(self.file, both)

    def end(self) -> None:
        """All of them are done.

        Raises:
            OutputError: The file cannot be deleted.
        """
        try:
            self.file.unlink(missing_ok=True)
            remove_leftovers(self.file)
        except OSError as error:
            raise OutputError(f"{str(self.file)!r} cannot be deleted ({error.strerror})") from error


@contextmanager
def one_at_a_time(folder: Path, *, make: bool = False) -> Iterator[None]:
    """Let no other process delete photos from this log while the block lasts.

    Args:
        folder: Of the log.
        make: Make it where it is not there: the log's rows are elsewhere.

    Raises:
        AnimalsError: Another one does.
        OutputError: The folder cannot be written.
    """
    if not (make or folder.is_dir()):  # nothing is kept here, and nothing is made
        yield
        return
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = locked(folder / LOCK)
    except OSError as error:
        raise cannot_write(folder / LOCK, error) from error
    if descriptor is None:
        raise AnimalsError(f"another process is deleting photos from the log in {str(folder)!r}: wait until it is done")
    try:
        yield
    finally:
        with suppress(OSError):  # Windows deletes nothing that is open
            (folder / LOCK).unlink()
        os.close(descriptor)
