"""A batch of photos through the classifier, one item each, until the end or until somebody says stop."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Container, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from animal_classification.predict.journal import FileState, JournalEntry
from animal_classification.predict.table import to_row

if TYPE_CHECKING:
    from animal_classification.data.discovery import FoundPhoto, WalkLog
    from animal_classification.inference.classifier import Classifier
    from animal_classification.inference.results import FileResult


@dataclass(frozen=True, slots=True)
class Item:
    """One file with everything that is known about it."""

    result: FileResult
    entry: JournalEntry
    path: str


@dataclass(frozen=True, slots=True)
class Done:
    """What a table that is gone on with says of a photo, as far as that is needed to leave it, or to do it again.

    Attributes:
        failed: It could not be read.
        unknown: It is none of the labels.
        answer: The name that was given.
        state: Of the file that was read, if that was noted down.
    """

    failed: bool
    unknown: bool
    answer: str | None
    state: FileState | None

    @classmethod
    def of(cls, entry: JournalEntry) -> Done:
        """What counts of a row."""
        row = entry.row
        return cls(row["error"] is not None, row["unknown"] is True, row["answer"], entry.state)

    def is_outdated(self, path: str, table_time: int | None) -> bool:
        """Whether the file has changed since.

        Args:
            path: Where it is now.
            table_time: When the row was written at the latest, in nanoseconds, where it has no state.
        """
        try:
            status = os.stat(path)  # noqa: PTH116 - for every photo of a table
        except OSError:
            return False  # gone: what is known of it stays
        if self.state is not None:
            return self.state != (status.st_size, status.st_mtime_ns)
        # Replacing a file may keep the time of its content, as copying from a card does, but not that of its inode.
        return table_time is not None and max(status.st_mtime_ns, status.st_ctime_ns) > table_time


@dataclass
class Tally:
    """What a table holds, counted.

    Attributes:
        photos: Rows.
        unreadable: Rows with an error.
        unknown: Rows that are none of the labels.
        animals: How often each name was given.
    """

    photos: int = 0
    unreadable: int = 0
    unknown: int = 0
    animals: Counter[str] = field(default_factory=Counter)

    def add(self, entry: JournalEntry) -> None:
        self._count(entry.row["error"] is not None, entry.row["unknown"] is True, entry.row["answer"], 1)

    def take_back(self, done: Done) -> None:
        """A row does not count any more."""
        self._count(done.failed, done.unknown, done.answer, -1)

    def _count(self, failed: bool, unknown: bool, answer: str | None, by: int) -> None:
        self.photos += by
        if failed:
            self.unreadable += by
        elif unknown:
            self.unknown += by
        elif answer is not None:
            self.animals[answer] += by


def classify(
    classifier: Classifier,
    photos: Iterable[FoundPhoto],
    *,
    top_k: int,
    log: WalkLog,
    stopped: Callable[[], bool] = lambda: False,
    again: Container[str] = (),
) -> Iterator[Item]:
    """Yield an item per photo, in order, with flat memory.

    Args:
        classifier: The model.
        photos: Read a little ahead of what is yielded.
        top_k: As asked for.
        log: Where photos are noted that are gone because their folder is.
        stopped: Asked after every item.
        again: Names that have a row already.
    """
    info = classifier.info
    ahead: deque[tuple[str, FileState | None]] = deque()

    def names_and_paths() -> Iterator[tuple[str, str]]:
        for photo in photos:
            ahead.append((photo.path, file_state(photo.path)))
            yield photo.name, photo.path

    results = classifier.predict_paths(names_and_paths(), top_k=top_k)
    try:
        for result in results:
            path, state = ahead.popleft()
            if not result.reached and (folder := _vanished_folder(path)):
                log.lost.setdefault(folder, "it is not there any more")
            else:
                row = to_row(result, model=info.name, version=info.version)
                yield Item(result, JournalEntry(row, state, again=result.path in again), path)
            if stopped():
                return
    finally:
        cast("Generator[FileResult, None, None]", results).close()


def file_state(path: str) -> FileState | None:
    """Of a file as it is now; ``None`` where it is gone."""
    try:
        status = os.stat(path)  # noqa: PTH116 - for every photo of a run
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns


def _vanished_folder(path: str) -> str | None:
    folder = os.path.dirname(path) or "."  # noqa: PTH120 - only for photos that cannot be read
    return None if os.path.isdir(folder) else folder  # noqa: PTH112 - Path.is_dir may raise
