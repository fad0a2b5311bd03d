"""What a field run was made with, as its journal begins: enough to make its tables again without a model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from animal_classification.bundle.schema import Label
from animal_classification.inference.postprocess import UNFAMILIAR_NAME, unknown_name

if TYPE_CHECKING:
    from animal_classification.bundle.schema import BundleInfo
    from animal_classification.detection.detector import Detector

CROP_RULE = "square, 1.2 x the longer side"


@dataclass(frozen=True, kw_only=True)
class BoxSource:
    """What boxes come from.

    Attributes:
        name: Of the detector, ours or another program's.
        version: Of it.
        sha256: Of the detector's bundle, or of the file with boxes.
        typical: Confidence from which a box counts, unless the user says another.
        categories: What it finds.
        file: Whether it is a file of another program.
    """

    name: str
    version: str
    sha256: str
    typical: float
    categories: tuple[str, ...]
    file: bool = False

    @classmethod
    def of(cls, detector: Detector) -> BoxSource:
        """A detector of ours."""
        info = detector.info
        return cls(
            name=info.name,
            version=info.version,
            sha256=detector.bundle.sha256,
            typical=info.threshold.typical,
            categories=info.categories,
        )


@dataclass(frozen=True, kw_only=True)
class FieldRun:
    """One run.

    Attributes:
        labels: Of the model, in the order of the probabilities.
        rollup: The model's own threshold for an answer; ``None`` where it states none.
        unknown_name: What the model calls a picture of none of its labels.
        boxes: Where boxes come from; ``None`` where pictures are named as a whole.
        detect: ``always`` or ``unsure``.
        crop: The rule by which boxes are cut out.
    """

    labels: tuple[Label, ...]
    rollup: float | None
    unknown_name: str
    boxes: BoxSource | None
    detect: str = "always"
    crop: str = CROP_RULE

    @classmethod
    def of(cls, info: BundleInfo, boxes: BoxSource | None, detect: str) -> FieldRun:
        """A run with this model."""
        threshold = info.rollup.threshold if info.rollup else None
        return cls(labels=info.labels, rollup=threshold, unknown_name=unknown_name(info), boxes=boxes, detect=detect)

    @property
    def blank_if_unknown(self) -> bool:
        """Whether a picture that the model does not know shows no animal, or may show one that it never learned."""
        return self.boxes is not None or self.unknown_name != UNFAMILIAR_NAME

    def identity(self) -> str:
        """What must be the same for a run to go on, for people; empty for a run without boxes."""
        if self.boxes is None:
            return "whole pictures"
        return f"{self.boxes.name} {self.boxes.version} ({self.boxes.sha256[:12]}), {self.detect}, {self.crop}"

    def to_record(self) -> dict[str, Any]:
        """For the journal's first line."""
        return {
            "labels": [label.model_dump(mode="json", exclude_none=True) for label in self.labels],
            "rollup": self.rollup,
            "unknown_name": self.unknown_name,
            "boxes": None if self.boxes is None else asdict(self.boxes),
            "detect": self.detect,
            "crop": self.crop,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> FieldRun:
        """What ``to_record`` wrote.

        Raises:
            ValueError: It is none.
        """
        return _RUNS.validate_python(record)


_RUNS = TypeAdapter(FieldRun)
