"""The boxes of one file while it is read: cut to the picture, what is empty dropped and counted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from animal_classification.data.detections import Category, Detection
from animal_classification.data.recognitions.entry import Corners, PixelDetection, Size, detection

Layout = Literal["xywh", "xyxy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenBox:
    """One box as a dialect reads it.

    Attributes:
        category: What was found.
        confidence: As it is written; ``None`` where a person drew the box.
        numbers: Four numbers; ``None`` where there are not four.
        layout: Left, top, width and height, or left, top, right and bottom.
        pixels: Whether they are pixels; else fractions.
        frame: Of a video.
        label: What is in the box.
        label_probability: Of that label.
    """

    category: Category
    confidence: float | None
    numbers: Sequence[float] | None
    layout: Layout = "xywh"
    pixels: bool = False
    frame: int | None = None
    label: str = ""
    label_probability: float | None = None

    def corners(self) -> Corners | None:
        """The box by its corners, in its own unit."""
        if self.numbers is None:
            return None
        x, y, third, fourth = self.numbers
        return Corners(x, y, third, fourth) if self.layout == "xyxy" else Corners(x, y, x + third, y + fourth)


@dataclass
class BoxCounter:
    """Turns boxes as they are written into detections, and counts those that hold nothing.

    Attributes:
        dropped: How many boxes were left out.
    """

    dropped: int = 0

    def found(self, boxes: Iterable[WrittenBox], size: Size | None = None) -> tuple[Detection, ...]:
        """The boxes of one picture, in their order.

        Args:
            boxes: As they are written; in pixels only together with ``size``.
            size: Width and height that pixels are measured in.
        """
        return tuple(one for box in boxes if (one := self._kept(box, size)) is not None)

    def in_pixels(self, boxes: Iterable[WrittenBox]) -> tuple[PixelDetection, ...]:
        """The boxes of one picture whose size is not known yet, in their order."""
        return tuple(one for box in boxes if (one := self._kept_in_pixels(box)) is not None)

    def notes(self) -> tuple[str, ...]:
        """A line about the boxes that were left out."""
        count = f"{self.dropped:,} {'box' if self.dropped == 1 else 'boxes'}"
        return (f"{count} left out: no numbers, or nothing of the picture in them",) if self.dropped else ()

    def _kept(self, box: WrittenBox, size: Size | None) -> Detection | None:
        corners = box.corners()
        if corners is not None and box.pixels and size is not None:
            width, height = size
            corners = Corners(
                corners.left / width, corners.top / height, corners.right / width, corners.bottom / height
            )
        made = corners and detection(
            box.category,
            box.confidence,
            corners,
            frame=box.frame,
            label=box.label,
            label_probability=box.label_probability,
        )
        self._count(made)
        return made

    def _kept_in_pixels(self, box: WrittenBox) -> PixelDetection | None:
        corners = box.corners()
        # Whatever the size is: a box without width, or left of the picture, holds nothing.
        empty = corners is None or corners.right <= max(0.0, corners.left) or corners.bottom <= max(0.0, corners.top)
        made = (
            PixelDetection(
                category=box.category,
                confidence=1.0 if box.confidence is None else box.confidence,
                corners=corners,
                frame=box.frame,
                label=box.label,
                label_probability=box.label_probability,
            )
            if corners is not None and not empty
            else None
        )
        self._count(made)
        return made

    def _count(self, made: object) -> None:
        if made is None:
            self.dropped += 1
