"""What a run finds in a file, as it stands in the journal: all that cost time, so that tables can be made again.

Probabilities of all labels are kept in half precision (IEEE 754 binary16, little-endian, zlib, base64): about 300 bytes
for 398 labels.
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from animal_classification.data.detections import Detection
from animal_classification.predict.table import answered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from animal_classification.detection.scene import NamedBox, Scene
    from animal_classification.inference.results import Prediction

_HALF = np.dtype("<f2")
_DIGITS = 6
_MOST_PROBABILITIES = 1_000_000  # of one answer; a few bytes can stand for gigabytes of them
Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class AnsweredVector:
    """What the classifier said of a box or of a whole picture.

    Attributes:
        row: The part of a row of the table that a prediction fills.
        probabilities: float64 ``[labels]``, calibrated.
    """

    row: Record
    probabilities: NDArray[np.float64]

    @property
    def unknown(self) -> bool:
        """Whether the classifier takes it for none of its labels."""
        return bool(self.row["unknown"])


@dataclass(frozen=True, slots=True)
class StoredBox:
    """A box and its answer; people and vehicles have none."""

    detection: Detection
    answer: AnsweredVector | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEvidence:
    """All that is known of a file.

    Attributes:
        size: Width and height of the upright picture; ``None`` where it could not be read.
        boxes: The surest first.
        whole: What all of the picture is taken for, where that was asked.
        searched: Whether boxes were looked for, or given.
        facts: Of ``field.photo_facts``, as ``to_record`` gives them.
    """

    size: tuple[int, int] | None = None
    boxes: tuple[StoredBox, ...] = ()
    whole: AnsweredVector | None = None
    searched: bool = False
    facts: Mapping[str, Any]

    @classmethod
    def of(cls, record: Record) -> FileEvidence:
        """From the journal.

        Raises:
            KeyError: It is no such record.
            ValueError: A vector is damaged.
        """
        size = record.get("size")
        return cls(
            size=(size[0], size[1]) if size else None,
            boxes=tuple(_read_box(box) for box in record.get("boxes", ())),
            whole=_read_answer(record.get("whole")),
            searched=bool(record.get("searched")),
            facts=record.get("facts", {}),
        )


def to_record(scene: Scene | None, facts: Mapping[str, Any], labels: int) -> Record:
    """For the journal.

    Args:
        scene: What was seen; ``None`` for a file that could not be read.
        facts: When and where.
        labels: How many labels the model has; background classes are left out.
    """
    if scene is None:
        return {"facts": dict(facts)}
    return {
        "size": [scene.width, scene.height],
        "searched": scene.searched,
        "boxes": [_box(box, labels) for box in scene.boxes],
        "whole": _answer(scene.whole, labels),
        "facts": dict(facts),
    }


def pack(probabilities: NDArray[np.floating]) -> str:
    """A vector as text."""
    return base64.b64encode(zlib.compress(probabilities.astype(_HALF).tobytes(), 6)).decode("ascii")


def unpack(text: str) -> NDArray[np.float64]:
    """The inverse of ``pack``, to half precision.

    Raises:
        ValueError: It is no such text.
    """
    try:
        unpacking = zlib.decompressobj()
        data = unpacking.decompress(base64.b64decode(text, validate=True), _MOST_PROBABILITIES * _HALF.itemsize)
        if not unpacking.eof:
            raise ValueError(f"not at their end after {_MOST_PROBABILITIES}")
        return np.frombuffer(data, dtype=_HALF).astype(np.float64)
    except (zlib.error, ValueError) as error:
        raise ValueError(f"damaged probabilities: {error}") from error


def _box(box: NamedBox, labels: int) -> Record:
    one = box.detection
    corner = [round(value, _DIGITS) for value in (one.x, one.y, one.width, one.height)]
    record: Record = {"category": one.category, "confidence": round(one.confidence, _DIGITS), "box": corner}
    if one.frame is not None:
        record["frame"] = one.frame
    if one.label:
        record |= {"label": one.label, "label_probability": one.label_probability}
    return {**record, "answer": _answer(box.prediction, labels)}


def _read_box(record: Record) -> StoredBox:
    x, y, width, height = map(float, record["box"])
    detection = Detection(
        category=record["category"],
        confidence=float(record["confidence"]),
        x=x,
        y=y,
        width=width,
        height=height,
        frame=record.get("frame"),
        label=record.get("label", ""),
        label_probability=record.get("label_probability"),
    )
    return StoredBox(detection, _read_answer(record["answer"]))


def _answer(prediction: Prediction | None, labels: int) -> Record | None:
    if prediction is None or prediction.probabilities is None:
        return None
    return {**answered(prediction), "probabilities": pack(prediction.probabilities[:labels])}


def _read_answer(record: Record | None) -> AnsweredVector | None:
    if record is None:
        return None
    return AnsweredVector(
        {name: value for name, value in record.items() if name != "probabilities"}, unpack(record["probabilities"])
    )
