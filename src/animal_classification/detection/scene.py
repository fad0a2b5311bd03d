"""What is in a picture: boxes with their answers, or one answer for all of it. Plain, frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from animal_classification.data.detections import Detection
    from animal_classification.imaging.geometry import Box
    from animal_classification.inference.results import Prediction


@dataclass(frozen=True, slots=True)
class NamedBox:
    """One box, and what is in it.

    Attributes:
        detection: The box.
        prediction: What the classifier says of the square around it; ``None`` for people and vehicles.
        crop: That square, in fractions of the picture: left, top, right, bottom.
    """

    detection: Detection
    prediction: Prediction | None = None
    crop: Box | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """One picture.

    Attributes:
        width: Of the upright picture, in pixels.
        height: Of the upright picture, in pixels.
        boxes: The surest first.
        whole: What the classifier says of all of the picture; ``None`` where a box reaches the threshold.
        searched: Whether boxes were looked for, or given.
    """

    width: int
    height: int
    boxes: tuple[NamedBox, ...] = ()
    whole: Prediction | None = None
    searched: bool = True

    def strongest(self, threshold: float) -> NamedBox | None:
        """The animal of the highest confidence x probability among those at the threshold; ``None`` without one.

        A box that the classifier takes for no animal comes after all others.
        """
        animals = [one for one in self.boxes if one.prediction and one.detection.confidence >= threshold]
        return max(animals, key=_strength, default=None)


def _strength(box: NamedBox) -> tuple[bool, float]:
    assert box.prediction is not None
    return not box.prediction.unknown, box.detection.confidence * box.prediction.answer.probability
