"""The API's answers: their shape for OpenAPI, and how an outcome becomes one."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict
from io import BytesIO
from typing import TYPE_CHECKING, Annotated, Any

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from animal_classification.imaging import PreprocessSpec
from animal_classification.predict.table import DIGITS, to_row
from animal_classification.serving.http.plain_words import in_words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from animal_classification.bundle.schema import BundleInfo
    from animal_classification.detection.scene import NamedBox, Scene
    from animal_classification.inference import Prediction
    from animal_classification.serving.service import PhotoOutcome

MAX_TOP_K = 1000

Probability = Annotated[float, Field(ge=0.0, le=1.0)]


# Like ``prediction_log.tables.MAX_SOURCE``, which loads SQLAlchemy.
MAX_SOURCE = 80
PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$"


class PredictOptions(BaseModel):
    """What a request may ask for, in the query or as form fields; a form field wins."""

    model_config = ConfigDict(extra="forbid")

    top_k: int = Field(default=5, ge=1, le=MAX_TOP_K, description="How many of the most probable labels to return.")
    heatmap: bool = Field(default=False, description="Add a picture of where the model looked to each prediction.")
    words: bool = Field(default=False, description="Add each answer in plain English, as the page at `/` says it.")


class PredictQuery(PredictOptions):
    """The same, who shall answer, and where the photos are from."""

    model: str | None = Field(
        default=None, min_length=1, max_length=255, description="Name of the model that answers; by default the first."
    )
    source: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_SOURCE,
        pattern=PRINTABLE,
        description="The camera or site that the photos are from, for the prediction log; also as the header "
        "`X-Animals-Source`. By default the API key's name.",
    )
    detections: bool = Field(
        default=False,
        description="Find the animals and name each; the strongest is then the photo's answer. Needs --detector.",
    )


class TopLabel(BaseModel):
    """One label and how probable it is."""

    label: str
    label_id: str
    probability: Probability


class NamedAnswer(BaseModel):
    """The finest name that the model is sure enough of."""

    name: str
    level: str = Field(description="`label`, `group`, `known` (an animal, which is unclear) or `unknown`.")
    probability: Probability


class PlainWords(BaseModel):
    """An answer in plain English."""

    headline: str = Field(description="The answer's name as a title.")
    sentence: str = Field(description="How sure the model is, and what else it might be.")
    lineage: list[str] = Field(description="Groups of the animal, from coarse to fine.")
    taxon: str | None = Field(description="Scientific name, where known and sure.")


class DetectedBox(BaseModel):
    """An animal, a person or a vehicle in a photo. Positions are fractions of the upright photo."""

    category: str = Field(description="`animal`, `person` or `vehicle`.")
    confidence: Probability = Field(description="The detector's own score.")
    x: Probability = Field(description="Left edge.")
    y: Probability = Field(description="Upper edge.")
    width: Probability
    height: Probability
    label: str | None = Field(description="Of an animal; null for people and vehicles.")
    label_id: str | None
    probability: Probability | None
    answer: NamedAnswer | None


class PhotoPrediction(BaseModel):
    """The answer for one photo. Where ``error`` says why there is none, the rest is null or empty."""

    id: str = Field(description="Of this prediction; unique.")
    file: str = Field(description="The file name that was sent, without folders.")
    label: str | None
    label_id: str | None
    probability: Probability | None
    group: str | None
    group_probability: Probability | None
    unknown: bool | None = Field(description="The photo shows none of the labels.")
    set: list[str] = Field(description="Labels that hold the truth with the coverage that the model states.")
    top: list[TopLabel]
    answer: NamedAnswer | None
    words: PlainWords | None = Field(default=None, description="On request.")
    heatmap: str | None = Field(default=None, description="On request: a PNG as a data URL.")
    heatmap_side: Probability | None = Field(
        default=None,
        description="With a heatmap: it covers the central square, whose side is this share of the shorter one.",
    )
    detections: list[DetectedBox] | None = Field(
        default=None, description="On request: what was found, the surest first; empty where nothing was."
    )
    model: str
    version: str
    error: str | None = Field(description="Why this photo could not be used.")


class PredictResponse(BaseModel):
    """One entry per photo, in the order sent."""

    predictions: list[PhotoPrediction]


class CanarySummary(BaseModel):
    """A model that answers a share of the requests for another one."""

    name: str
    version: str
    share: float


class ModelSummary(BaseModel):
    """A model that this server answers with."""

    name: str
    version: str
    classes: int
    engine: str
    canary: CanarySummary | None = None


class ModelsResponse(BaseModel):
    """The models, the default one first."""

    models: list[ModelSummary]


class ReloadResponse(BaseModel):
    """What answers after a look, and what did before."""

    name: str
    version: str
    before: str


class Health(BaseModel):
    """The server's state."""

    status: str


def as_entry(outcome: PhotoOutcome, info: BundleInfo, *, words: bool = False) -> dict[str, Any]:
    """One entry of ``predictions``, with the contract's keys in the contract's order.

    Args:
        outcome: What became of a photo.
        info: Of the model that answered.
        words: Say it in plain English as well.
    """
    row = to_row(outcome.result, model=info.name, version=info.version)
    entry: dict[str, Any] = {"id": outcome.id, "file": row["path"]}
    said_otherwise = {"path", "answer", "answer_probability", "model", "model_version", "error"}
    entry |= {key: value for key, value in row.items() if key not in said_otherwise}
    entry["answer"] = _answer(outcome.result.prediction)
    if words and outcome.result.prediction is not None:
        entry["words"] = asdict(in_words(outcome.result.prediction, info))
    if outcome.heatmap is not None:
        entry["heatmap"] = png_data_url(outcome.heatmap)
        spec = PreprocessSpec(**info.preprocess.model_dump())
        entry["heatmap_side"] = round(spec.size / spec.resize_to, DIGITS)
    if outcome.scene is not None:
        entry["detections"] = found_boxes(outcome.scene)
    return entry | {"model": info.name, "version": info.version, "error": row["error"]}


def encoded_entry(outcome: PhotoOutcome, info: BundleInfo, *, words: bool = False) -> bytes:
    """The entry as JSON."""
    return json.dumps(as_entry(outcome, info, words=words), ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def png_data_url(pixels: NDArray[np.uint8]) -> str:
    """A picture that can stand in JSON and in HTML."""
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def found_boxes(scene: Scene) -> tuple[dict[str, Any], ...]:
    """What was found in a photo, each as ``DetectedBox`` describes it."""
    return tuple(map(_found_box, scene.boxes))


def _found_box(box: NamedBox) -> dict[str, Any]:
    found, named = box.detection, box.prediction
    position = {side: round(getattr(found, side), DIGITS) for side in ("x", "y", "width", "height")}
    return {
        "category": found.category,
        "confidence": round(found.confidence, DIGITS),
        **position,
        "label": named and named.label,
        "label_id": named and named.label_id,
        "probability": named and round(named.probability, DIGITS),
        "answer": _answer(named),
    }


def _answer(prediction: Prediction | None) -> dict[str, Any] | None:
    if prediction is None:
        return None
    answer = prediction.answer
    return {"name": answer.name, "level": answer.level, "probability": round(answer.probability, DIGITS)}
