"""The events of a field run as one page for people: a timeline for each deployment, and each animal enlarged.

The page is a single file: no script, nothing from elsewhere. It is made from the journal, without a model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageDraw

from animal_classification.common.atomic import new_file
from animal_classification.data.detections import Detection
from animal_classification.data.square_crop import square_crop
from animal_classification.errors import ImageError, OutputError, UsageError
from animal_classification.imaging import Limits
from animal_classification.imaging.decoding import opened
from animal_classification.predict.events_html import MARK, ShownEvent, page
from animal_classification.report.pictures import data_url

if TYPE_CHECKING:
    from animal_classification.predict.assembly import Assembly

# A picture of an event takes about 25 kB: with more of them a browser gets slow.
MOST_PICTURES = 600
_WHOLE, _ENLARGED = 480, 220
_BOX = "#ffd23f"
Row = Mapping[str, Any]


@dataclass(frozen=True)
class EventsPage:
    """Where the page goes, and where its photos are.

    Attributes:
        target: The file to write.
        photos: The folder that paths are relative to; without it the page has no pictures.
        overwrite: Replace a file there that is no such page.
    """

    target: Path
    photos: Path | None = None
    overwrite: bool = False

    def check(self) -> None:
        """Refuse what would lose something, before any work is done.

        Raises:
            UsageError: There is another file, a folder, or no folder of photos.
        """
        if self.photos is not None and not self.photos.is_dir():
            raise UsageError(f"--photos {str(self.photos)!r} is no folder")
        if self.target.is_dir():
            raise UsageError(f"--html {str(self.target)!r} is a folder; name a file such as events.html")
        if self.target.is_file() and not self.overwrite and MARK.encode() not in _head(self.target):
            raise UsageError(
                f"--html {str(self.target)!r} is there, and no page of events: give another, or --overwrite"
            )

    def write(self, assembly: Assembly) -> tuple[str, ...]:
        """Write the page; what it leaves out comes back, a line each.

        Raises:
            OutputError: The system refuses.
        """
        events = list(assembly.events())
        boxes = _best_boxes(events, assembly)
        shown, missing = [], 0
        for at, row in enumerate(events):
            pictures = self._pictures(row, boxes) if at < MOST_PICTURES else None
            missing += pictures is None
            shown.append(ShownEvent(row, *(pictures or ("", ""))))
        try:
            with new_file(self.target) as temporary:
                temporary.write_text(page(shown, assembly.deployment_rows()), encoding="utf-8")
        except OSError as error:
            raise OutputError(f"cannot write {str(self.target)!r}: {error.strerror or error}") from error
        return self._notes(missing, len(events))

    def _pictures(self, row: Row, boxes: Mapping[str, Sequence[Row]]) -> tuple[str, str] | None:
        """The best picture with its boxes, and the animal by itself; ``None`` where they cannot be shown."""
        path = row["best_path"]
        if self.photos is None or not path:
            return None
        found = [_as_detection(box) for box in boxes.get(path, ())]
        try:
            return _drawn(self.photos / path, found, _of_event(row, boxes.get(path, ())))
        except (ImageError, OSError):
            return None

    def _notes(self, missing: int, events: int) -> tuple[str, ...]:
        if self.photos is None:
            return ("the page has no pictures: --photos names the folder that the paths start from",)
        return (f"{missing:,} of {events:,} events are shown without a picture",) if missing else ()


def _best_boxes(events: Iterable[Row], assembly: Assembly) -> dict[str, Sequence[Row]]:
    """The boxes of the pictures that stand for an event."""
    wanted = {row["best_path"] for row in events}
    return {row["path"]: boxes for row, boxes in assembly.files() if row["path"] in wanted and boxes}


def _of_event(event: Row, boxes: Iterable[Row]) -> Detection | None:
    """The surest box that says what the event says."""
    same = [box for box in boxes if (box["category"], box["answer"]) == (event["category"], event["answer"])]
    best = max(same, key=lambda box: box["confidence"], default=None)
    return None if best is None else _as_detection(best)


def _as_detection(box: Row) -> Detection:
    sides = {side: box[side] for side in ("x", "y", "width", "height")}
    return Detection(category=box["category"], confidence=box["confidence"], **sides)


def _drawn(file: Path, boxes: Iterable[Detection], best: Detection | None) -> tuple[str, str]:
    with opened(file, limits=Limits.of_container()) as photo:
        enlarged = ""
        if best is not None:
            square = photo.inside(square_crop(best, *photo.size)).thumbnail(_ENLARGED)
            enlarged = data_url(square)
        whole = photo.thumbnail(_WHOLE)
    pen = ImageDraw.Draw(whole)
    for box in boxes:
        pen.rectangle(_corners(box, whole), outline=_BOX, width=2)
    return data_url(whole), enlarged


def _corners(box: Detection, picture: Image.Image) -> tuple[float, float, float, float]:
    width, height = picture.size
    return box.x * width, box.y * height, (box.x + box.width) * width - 1, (box.y + box.height) * height - 1


def _head(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(512)
