"""All that a file of another program says, with a way to find what it says of one photo."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from animal_classification.data.detections import Detection
from animal_classification.data.recognitions.entry import RecognizedFile, Size, is_turned
from animal_classification.data.recognitions.matching import Match, Matching, PathIndex, repeated
from animal_classification.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Recognitions:
    """Somebody's results.

    Attributes:
        where: The name of the file, for messages.
        dialect: What it was taken for: ``MegaDetector 1.6``.
        detector: What found the boxes, where the file says: ``md_v5a.0.0``.
        detector_version: Its version, where the file says.
        typical_threshold: Confidence from which boxes count, where the file says.
        entries: One for each file, in the order of the results.
        notes: What was left out and why, a line each.
    """

    where: str
    dialect: str
    entries: tuple[RecognizedFile, ...]
    detector: str = ""
    detector_version: str = ""
    typical_threshold: float | None = None
    notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[RecognizedFile]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def says(self) -> str:
        """What the file was taken for, and how much is in it: one line, without the notes."""
        files = f"{len(self):,} {'file' if len(self) == 1 else 'files'}"
        count = sum(len(entry.boxes or entry.pixel_boxes) for entry in self)
        boxes = f"{count:,} {'box' if count == 1 else 'boxes'}" if count else "no boxes"
        return f"{self._taken_for}, {files}, {boxes}"

    @property
    def has_boxes(self) -> bool:
        """Whether the file says of any picture where something is, or that nothing is: a list of labels does not."""
        return any(entry.boxes is not None for entry in self)

    @property
    def needs_size(self) -> bool:
        """Whether boxes are in pixels, so that ``of`` has to be told the picture's size."""
        return any(entry.pixel_boxes for entry in self)

    def of(self, name: str, size: Size | None = None) -> tuple[Detection, ...] | None:
        """What was found in one photo or video.

        Args:
            name: Its path, as in ``animals predict``: relative, with forward slashes.
            size: Width and height of the upright picture; needed where ``needs_size`` says so.

        Returns:
            Its boxes, strongest first, none where nothing was found; or ``None`` where the file does not say: there is
            no entry, the other program could not read the picture, or its boxes are for a picture of another shape.

        Raises:
            UsageError: Several entries fit, or the size is missing.
        """
        position = self._index.find(name)
        return None if position is None else self.boxes_of(self.entries[position], size)

    def match(self, names: Iterable[str]) -> Match:
        """The entries of many files.

        Raises:
            UsageError: Which entry belongs to which file is ambiguous.
        """
        return self._index.match(names)

    def matching(self) -> Matching:
        """The same for files that come one by one."""
        return self._index.matching()

    def boxes_of(self, entry: RecognizedFile, size: Size | None = None) -> tuple[Detection, ...] | None:
        """The boxes of one entry; as from ``of``."""
        boxes = entry.boxes
        if entry.pixel_boxes:
            if size is None:
                raise UsageError(f"{self.where}: its boxes are in pixels; the size of {entry.name!r} is needed")
            boxes = tuple(one for box in entry.pixel_boxes if (one := box.of_size(size)) is not None)
        elif boxes and entry.size and size and is_turned(entry.size, size):
            return None
        return None if boxes is None else tuple(sorted(boxes, key=lambda box: -box.confidence))

    def says_of(self, match: Match) -> str:
        """What the file was taken for, and how many files were matched: one line."""
        return f"{self._taken_for}, {match.says}"

    @property
    def _taken_for(self) -> str:
        return f"{self.where}: {self.dialect}{f' of {self.detector}' if self.detector else ''}"

    @cached_property
    def _index(self) -> PathIndex:
        return PathIndex([entry.name for entry in self.entries], self.where)

    def noting(self, *notes: str) -> Recognitions:
        """The same with further notes."""
        return replace(self, notes=(*self.notes, *(note for note in notes if note)))


def last_of_each(entries: Iterable[RecognizedFile]) -> tuple[tuple[RecognizedFile, ...], tuple[str, ...]]:
    """One entry for each file, the last where there are several; and a note that says so."""
    listed = list(entries)
    last = {entry.name: entry for entry in listed}
    twice = repeated(entry.name for entry in listed)
    if not twice:
        return tuple(listed), ()
    count = f"{len(twice):,} files are" if len(twice) > 1 else "1 file is"
    return tuple(last.values()), (f"{count} in it more than once: the last entry counts; first: {twice[0]!r}",)
