"""What ``detector.json`` says: the keys of a detector bundle."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from animal_classification.data.detections import Category

KindName = Literal["animals", "yolox", "yolov5", "ultralytics", "end2end", "rtdetr", "rtdetrv2", "rfdetr"]
FitName = Literal["pad_end", "pad_around", "stretch"]
KINDS: tuple[str, ...] = get_args(KindName)

DETECTOR_FILE = "detector.onnx"
DETECTOR_INFO_FILE = "detector.json"

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class _DetectorPart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DetectorInput(_DetectorPart):
    """How a picture becomes the graph's square input.

    Attributes:
        size: Its side in pixels.
        multiple: The input need not be square: its sides are the smallest multiples of this that hold the picture.
            ``None`` where the graph takes squares only.
        enlarge: Whether a picture that is smaller than the input is enlarged to it.
        fit: ``pad_end`` and ``pad_around`` keep the proportions and fill what is left, on the right and below or on all
            sides; ``stretch`` does not keep them.
        fill: Grey of what is left, 0 to 255.
        interpolation: As for a model.
    """

    size: int = Field(ge=32, le=4096)
    fit: FitName
    multiple: int | None = Field(default=None, ge=1)
    enlarge: bool = True
    fill: int = Field(default=114, ge=0, le=255)
    interpolation: Literal["bicubic", "bilinear", "lanczos", "nearest"] = "bilinear"


class DetectorThreshold(_DetectorPart):
    """From which confidence a box counts.

    Attributes:
        typical: For most uses; the default of ``--threshold``.
        conservative: For those who would rather look at too many.
    """

    typical: Share
    conservative: Share


class NonMaximumSuppression(_DetectorPart):
    """Of boxes of one category that overlap by more than ``iou``, the surest stays; ``max`` of them at most."""

    iou: Share = 0.45
    max: int = Field(default=300, ge=1)


class DetectorInfo(_DetectorPart):
    """All of ``detector.json``.

    Attributes:
        kind: What the graph takes and gives; ``detection.kinds`` has one for each.
        categories: What the graph's classes are, in order.
        nms: Absent where the graph does it, or needs none.
        training: What it learned from, for people.
        files: Names and SHA-256 of the files.
    """

    schema_version: Literal[1] = 1
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    version: str = Field(default="1", min_length=1)
    license: str | None = None
    kind: KindName
    categories: tuple[Category, ...] = Field(min_length=1)
    input: DetectorInput
    threshold: DetectorThreshold = DetectorThreshold(typical=0.2, conservative=0.1)
    nms: NonMaximumSuppression | None = None
    training: str = ""
    files: dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]] = {}

    @model_validator(mode="after")
    def _files_are_plain_names(self) -> DetectorInfo:
        for name in self.files:
            if "/" in name or "\\" in name or name in ("", ".", ".."):
                raise ValueError(f"files: {name!r} is no plain name of a file in the same folder")
        return self
