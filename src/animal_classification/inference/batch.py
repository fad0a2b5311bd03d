"""A batch of photos through the classifier, one item each, until the end or until somebody says stop."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from animal_classification.inference.decide import KNOWN_NAME
from animal_classification.inference.journal import Entry
from animal_classification.inference.table import Row, to_row

if TYPE_CHECKING:
    from animal_classification.bundle import BundleInfo
    from animal_classification.inference.classifier import Classifier
    from animal_classification.inference.photo_paths import Photo, WalkLog
    from animal_classification.inference.results import FileResult


@dataclass(frozen=True, slots=True)
class Item:
    """One file with everything that is known about it."""

    result: FileResult
    entry: Entry
    path: str


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

    def add(self, entry: Entry) -> None:
        self.photos += 1
        if entry.row["error"] is not None:
            self.unreadable += 1
        elif entry.row["unknown"]:
            self.unknown += 1
        elif entry.answer is not None:
            self.animals[entry.answer] += 1


def classify(
    classifier: Classifier, photos: Iterable[Photo], *, top_k: int, log: WalkLog, stopped: Callable[[], bool]
) -> Iterator[Item]:
    """Yield an item per photo, in order, with flat memory.

    Args:
        classifier: The model.
        photos: Read a little ahead of what is yielded.
        top_k: As asked for.
        log: Where photos are noted that are gone because their folder is.
        stopped: Asked after every item.
    """
    info = classifier.info
    ahead: deque[str] = deque()

    def names_and_paths() -> Iterator[tuple[str, str]]:
        for photo in photos:
            ahead.append(photo.path)
            yield photo.name, photo.path

    results = classifier.predict_paths(names_and_paths(), top_k=top_k)
    try:
        for result in results:
            path = ahead.popleft()
            if not result.reached and (folder := _vanished_folder(path)):
                log.lost.setdefault(folder, "it is not there any more")
            else:
                answer = result.prediction.answer.name if result.prediction else None
                yield Item(result, Entry(to_row(result, model=info.name, version=info.version), answer), path)
            if stopped():
                return
    finally:
        cast("Generator[FileResult, None, None]", results).close()


def remembered_answer(row: Row, info: BundleInfo) -> str | None:
    """The name that a row of a finished table stands for, as near as it tells: finer groups are not in it."""
    if row["error"] is not None or row["unknown"] or row["label"] is None:
        return None
    threshold = info.rollup.threshold if info.rollup else 0.0
    if (row["probability"] or 0.0) >= threshold:
        return row["label"]
    if row["group"] is not None and (row["group_probability"] or 0.0) >= threshold:
        return row["group"]
    return KNOWN_NAME


def _vanished_folder(path: str) -> str | None:
    folder = os.path.dirname(path) or "."  # noqa: PTH120 - only for photos that cannot be read
    return None if os.path.isdir(folder) else folder  # noqa: PTH112 - Path.is_dir may raise
