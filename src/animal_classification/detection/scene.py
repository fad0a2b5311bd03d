"""What is in a picture: boxes with their answers, or one answer for all of it. Plain, frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from animal_classification.data.detections import Detection
    from animal_classification.imaging.geometry import Box
    from animal_classification.inference.results import Prediction


@dataclass(frozen=True, slots=True)
class Sighting:
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
        sightings: The surest box first.
        whole: What the classifier says of all of the picture; ``None`` where a box reaches the threshold.
        searched: Whether boxes were looked for, or given.
    """

    width: int
    height: int
    sightings: tuple[Sighting, ...] = ()
    whole: Prediction | None = None
    searched: bool = True

    def strongest(self, threshold: float) -> Sighting | None:
        """The animal of the highest confidence x probability among those at the threshold; ``None`` without one."""
        animals = [
            one for one in self.sightings if one.prediction is not None and one.detection.confidence >= threshold
        ]
        return max(animals, key=_strength, default=None)


def _strength(sighting: Sighting) -> float:
    assert sighting.prediction is not None
    return sighting.detection.confidence * sighting.prediction.answer.probability
