"""Labelled photos from what other programs and people found in them: the animals, cut out, with the place as group."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from animal_classification.data.detections import BLANK, Detection
from animal_classification.data.recognitions import Recognitions, RecognizedFile, read_recognitions
from animal_classification.data.sources.crop_files import CropFolder, Cutting
from animal_classification.data.sources.listing import ListedPhoto, Listing, SourceOptions, walk_photos
from animal_classification.errors import UsageError

# What `--kind` says, and how the dialects begin that it means.
FIELD_KINDS = {
    "megadetector": ("MegaDetector", "animl", "AddaxAI", "SpeciesNet", "a table of animals", "animals "),
    "camtrap-dp": ("Camtrap DP",),
    "coco": ("COCO",),
    "wildlife-insights": ("Wildlife Insights",),
    "timelapse": ("Timelapse",),
}
_LEAST_CONFIDENCE = 0.2
_CARD = re.compile(r"DCIM|\d{3}[A-Z0-9_]{5}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Labelled:
    """A photo with the animals that have a label, and with the place that it was taken at."""

    photo: str
    entry: RecognizedFile
    boxes: tuple[tuple[Detection, str], ...]
    place: str
    blank: bool

    @property
    def group(self) -> str:
        """What must not be divided: the place, else the burst, else the photo, which may show several animals."""
        return self.place or self.entry.sequence or self.photo


def list_recognized(place: Path, options: SourceOptions, *, photos: Path, cache: Path) -> Listing:
    """List what a file of another program says about photos.

    Args:
        place: The file, or the folder or zip of a package.
        options: ``kind`` says what it is, ``boxes`` where boxes are if not in it, ``blanks`` whether empty pictures
            are a class.
        photos: The folder of the photos; paths are matched by their ends.
        cache: Where crops are kept.

    Returns:
        Crops of all labelled animals; whole photos where neither the file nor ``boxes`` knows a box.

    Raises:
        UsageError: It is of another kind, or names none of the photos.
        AnimalsError: It cannot be read, or the cache cannot be written.
    """
    found = _of_kind(read_recognitions(place), options.kind)
    boxes = read_recognitions(options.boxes) if options.boxes else found
    return _FieldListing(found, boxes, options, CropFolder(photos, cache)).listing()


def _of_kind(found: Recognitions, kind: str) -> Recognitions:
    if not found.dialect.startswith(FIELD_KINDS[kind]):
        right = next((name for name, starts in FIELD_KINDS.items() if found.dialect.startswith(starts)), "")
        raise UsageError(f"{found.where} is not {kind} but {found.dialect}{f'; say --kind {right}' if right else ''}")
    return found


class _FieldListing:
    """One source on its way to a listing."""

    def __init__(self, found: Recognitions, boxes: Recognitions, options: SourceOptions, crops: CropFolder) -> None:
        self._found, self._boxes, self._options, self._crops = found, boxes, options, crops
        self._threshold = boxes.typical_threshold or _LEAST_CONFIDENCE
        self._without_label = self._without_box = self._unread = 0

    def listing(self) -> Listing:
        names = walk_photos(self._crops.photos).photos
        labels, boxes = self._found.match(names), self._boxes.match(names)
        if not labels.entry_of:
            raise UsageError(
                f"{self._found.where}: none of its {len(self._found):,} files is there below "
                f"{str(self._crops.photos)!r}; first: {labels.first_unused!r}; say with --root where the photos are"
            )
        photos = [
            self._labelled(name, self._found.entries[at], boxes.entry_of.get(name))
            for name, at in labels.entry_of.items()
        ]
        said = (self._found.says_of(labels), *self._found.notes)
        if self._boxes is not self._found:
            said = (*said, self._boxes.says_of(boxes), *self._boxes.notes)
        crops = any(photo.boxes for photo in photos)
        entries = self._cut(photos) if crops else self._whole(photos)
        return Listing(
            root=self._crops.root if crops else self._crops.photos, entries=tuple(entries), crops=crops
        ).noting(*said, *self._left_out(photos, crops=crops))

    def _labelled(self, name: str, entry: RecognizedFile, boxes_at: int | None) -> _Labelled:
        found = None if boxes_at is None else self._boxes.entries[boxes_at]
        known = (found.boxes if found else None) or ()
        counted = [box for box in known if box.confidence >= self._threshold]
        animals = [(box, box.label or entry.label) for box in counted if box.category == "animal"]
        labelled = tuple((box, label) for box, label in animals if label)
        self._without_label += len(animals) - len(labelled)
        nothing = found is not None and found.boxes is not None and not counted
        blank = entry.blank or (nothing and not entry.label)
        return _Labelled(name, entry, labelled, entry.place or folder_place(name), blank)

    def _cut(self, photos: Sequence[_Labelled]) -> Iterable[ListedPhoto]:
        """A listed photo for each crop; an empty picture is cut where an animal was in another one."""
        shown = [photo for photo in photos if photo.boxes]
        self._without_box = sum(bool(photo.entry.label) and not photo.boxes for photo in photos)
        places = [box for photo in shown for box, _ in photo.boxes]
        empty = [photo for photo in photos if photo.blank and not photo.boxes] if self._options.blanks else []
        cuttings = [
            *(Cutting(photo.photo, tuple(box for box, _ in photo.boxes), photo.entry.size) for photo in shown),
            *(Cutting(photo.photo, (places[at % len(places)],)) for at, photo in enumerate(empty)),
        ]
        labels = [*([label for _, label in photo.boxes] for photo in shown), *([BLANK] for _ in empty)]
        cut = self._crops.cut(cuttings, workers=self._options.workers, progress=self._options.progress)
        for photo, names, wanted in zip([*shown, *empty], cut, labels, strict=True):
            self._unread += names is None
            for crop, label in zip(names or (), wanted, strict=False):
                yield ListedPhoto(crop, label, group=photo.group)

    def _whole(self, photos: Sequence[_Labelled]) -> Iterable[ListedPhoto]:
        for photo in photos:
            label = BLANK if photo.blank and self._options.blanks else photo.entry.label
            if label:
                yield ListedPhoto(photo.photo, label, group=photo.group)

    def _left_out(self, photos: Sequence[_Labelled], *, crops: bool) -> Iterable[str]:
        if crops:
            yield f"animals are cut out: boxes with a confidence of {self._threshold:g} and above"
            yield _counted(self._without_label, "animals without a label were left out")
            yield _counted(
                self._without_box, "labelled photos have no box and were left out; --boxes names a file of boxes"
            )
            yield _counted(
                self._unread, "photos could not be cut: unreadable, or with boxes of a picture turned otherwise"
            )
        else:
            yield "no boxes of animals: photos are taken whole; --boxes names a file of boxes, such as MegaDetector's"
            unlabelled = sum(not photo.entry.label and not photo.blank for photo in photos)
            yield _counted(unlabelled, "photos without a label were left out")
        if not self._options.blanks:
            yield _counted(
                sum(photo.blank for photo in photos), "empty photos were left out; --blanks makes them a class"
            )
        if not any(photo.place for photo in photos):
            yield "no place is known, so photos of one camera may be in train and in test"


def folder_place(photo: str) -> str:
    """The place that a photo's folder stands for, the part before a card's own folders; empty where there is none.

    >>> folder_place("north/DCIM/100RECNX/IMG_1.JPG")
    'north'
    """
    kept: list[str] = []
    for part in PurePosixPath(photo).parts[:-1]:
        if _CARD.fullmatch(part):
            break
        kept.append(part)
    return "/".join(kept)


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count else ""
