"""Deletes all that is kept of single photos, wherever it is and whatever people said of it, while servers run."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from animal_classification.errors import OutputError
from animal_classification.prediction_log.record import PredictionRecord
from animal_classification.prediction_log.spool import orphans, row_files
from animal_classification.prediction_log.store import clean_file, delete_photos

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from sqlalchemy import Engine

    from animal_classification.prediction_log.location import LogLocation
    from animal_classification.prediction_log.photo_store import PhotoStore

# A server writes its rows to the database twice a second.
PATIENCE = 10.0
_LOOK_AGAIN = 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class Forgotten:
    """What was deleted.

    Attributes:
        photos: Kept files.
        predictions: Rows, each with its embedding.
        words: That people said, also those that were taken back.
        waiting: Rows that waited for the database, or were refused by it.
        baselines: Photos of accepted baselines for drift, which ``monitoring.baselines`` deletes.
        held: A running server has not yet come to the end of a file in which there were such rows: the database is
            gone for it, and it may have read one of them before.
    """

    photos: int = 0
    predictions: int = 0
    words: int = 0
    waiting: int = 0
    baselines: int = 0
    held: bool = False

    def __bool__(self) -> bool:
        return any((self.photos, self.predictions, self.words, self.waiting, self.baselines))


def forget(place: LogLocation, engine: Engine | None, store: PhotoStore, photos: Collection[str]) -> Forgotten:
    """Delete what is kept of these photos; doing it again changes nothing.

    A photo that is sent again later is a new one.

    Args:
        place: Where the log is.
        engine: The database, with its tables; ``None`` where it is not there.
        store: Where photos are.
        photos: SHA-256 of each, in hex.

    Raises:
        LogDatabaseError: The database, or the place of the photos, cannot be used now. Some may be deleted.
        OutputError: A file of rows cannot be written.
    """
    waiting = sum(erase_rows(path, photos) for files in orphans(place.spool, "") for path in files)
    waiting += sum(erase_rows(path, photos) for path in place.refused.glob("*.rows"))
    busy = {path: erase_rows(path, photos) for path, _, _ in row_files(place.spool)}  # of servers that run
    predictions, words = delete_photos(engine, photos) if engine is not None else (0, 0)
    files = sum(store.delete(photo) for photo in photos)
    read = {path for path, count in busy.items() if count}
    held = bool(read) and not _gone(read)
    if read and engine is not None:  # a server may have read a row before it was erased
        late = delete_photos(engine, photos)
        predictions, words = predictions + late[0], words + late[1]
        files += sum(store.delete(photo) for photo in photos)
    if engine is not None:
        clean_file(engine)
    waiting += sum(busy.values())
    return Forgotten(photos=files, predictions=predictions, words=words, waiting=waiting, held=held)


def erase_rows(path: Path, photos: Collection[str]) -> int:
    """Write blanks over the rows of these photos, in their place: a server may add to the file, or read it, meanwhile.

    Returns:
        How many rows.

    Raises:
        OutputError: The file cannot be written.
    """
    try:
        with path.open("r+b", buffering=0) as file:
            return _erase(file, photos)
    except FileNotFoundError:  # a server has written it to the database meanwhile
        return 0
    except OSError as error:
        raise OutputError(f"{path}: rows cannot be deleted from this file ({error.strerror})") from error


def _erase(file: BinaryIO, photos: Collection[str]) -> int:

    erased = begin = 0
    wanted = [photo.encode("ascii") for photo in photos]
    for line in file.read().splitlines(keepends=True):
        if line.endswith(b"\n") and any(photo in line for photo in wanted) and _is_of(line, photos):
            file.seek(begin)
            file.write(b" " * (len(line) - 1))
            erased += 1
        begin += len(line)
    return erased


def _is_of(line: bytes, photos: Collection[str]) -> bool:
    """The row is of one of these photos, or cannot be read; one that only names such a photo as its file is not."""
    record = PredictionRecord.from_line(line)
    return record is None or record.photo in photos


def _gone(files: set[Path]) -> bool:
    """Wait until servers have written these files to the database; returns whether they have."""
    deadline = time.monotonic() + PATIENCE
    while any(path.exists() for path in files):
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_AGAIN)
    return True
