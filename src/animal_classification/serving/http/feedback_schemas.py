"""What the routes of the review take and give, as OpenAPI describes it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from animal_classification.prediction_log import feedback as store
from animal_classification.prediction_log.review_queue import Why
from animal_classification.serving.http.schemas import DetectedBox, Probability, TopLabel

ID_LENGTH = 36
# What the validator of a word asks for, in the words of JSON Schema.
WITH_LABEL: dict[str, Any] = {
    "if": {"properties": {"verdict": {"const": "corrected"}}},
    "then": {"required": ["label"], "properties": {"label": {"type": "string", "pattern": r"\S"}}},
    "else": {"properties": {"label": {"type": "null"}}},
}


class FeedbackIn(BaseModel):
    """A person's word on one prediction."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, json_schema_extra=WITH_LABEL)

    id: str = Field(min_length=1, max_length=ID_LENGTH, pattern=r"\S", description="Of the prediction.")
    verdict: Literal["confirmed", "corrected", "none"] = Field(
        description="The answer is right, and nothing finer; it shows `label`; it shows no animal."
    )
    label: str | None = Field(
        default=None,
        max_length=store.MAX_LABEL,
        description="Where corrected: id or name of a label, or an animal that the model does not know.",
    )
    note: str | None = Field(default=None, max_length=store.MAX_NOTE)
    who: str | None = Field(
        default=None, max_length=store.MAX_WHO, description="Whose word it is; with an API key, it is the key's name."
    )

    @model_validator(mode="after")
    def _label_where_corrected(self) -> FeedbackIn:
        if (self.verdict == "corrected") != bool(self.label):
            raise ValueError("`label` goes with the verdict `corrected`, and with no other")
        return self


class FeedbackRecord(BaseModel):
    """A word as it is kept."""

    number: int = Field(description="For undoing it.")
    verdict: Literal["confirmed", "corrected", "none"]
    label: str | None = Field(
        description='What it says: the answer that was confirmed, the right name, or "no animal"; null in old words.'
    )
    label_id: str | None = Field(description="Null where it is no label of the model.")
    note: str | None
    who: str | None
    time: datetime
    undone: datetime | None = None


class FeedbackOut(BaseModel):
    """What stands on a prediction now."""

    id: str
    said: FeedbackRecord | None = Field(description="What was just said, or undone.")
    stands: FeedbackRecord | None = Field(description="The last word that is not undone.")


class Reviewable(BaseModel):
    """A prediction to look at."""

    id: str
    time: datetime
    file: str
    label: str
    label_id: str
    probability: Probability
    unknown: bool
    answer: str
    level: str
    set: list[str]
    top: list[TopLabel]
    model: str
    version: str
    doubt: Probability = Field(description="How much a look is worth; the order of the list.")
    photo: str | None = Field(description="Where the photo can be seen, relative to this list; null if it is not kept.")
    audited: bool = Field(description="It was chosen by chance, to know how accurate the answers are.")
    feedback: FeedbackRecord | None
    why: Why | None = Field(
        default=None,
        description="Two models differ (`disagree`), the loop asks for it (`asked`), chance chose it (`audit`), "
        "or it is one of the others, by doubt (`doubt`).",
    )
    source: str | None = Field(default=None, description="The camera or site, where the request named one.")
    taken: str | None = Field(
        default=None, description="When, by the camera's clock, `2021-04-11T20:43:09`; null if the photo does not say."
    )
    detections: list[DetectedBox] | None = Field(
        default=None, description="What was found, the surest first; null if the request asked for no boxes."
    )
    begins: bool | None = Field(
        default=None,
        description="For `/v1/review/events`: an event begins with this photo. It is from another camera than the one "
        "before it, or was taken more than half an hour later.",
    )
    choices: list[str] | None = Field(
        default=None,
        description="For `disagree`: what two models say, in random order; the answer itself is then not told.",
    )


class Page(BaseModel):
    """A page of the review."""

    predictions: list[Reviewable]
    total: int = Field(description="On all pages; by event, also those that have no time and are on none.")
    counts: dict[Why, int] | None = Field(
        default=None, description="How many photos there are of each `why`; null for `queue=doubt`."
    )
    next: str | None = Field(description="What to send as `after` for the next page.")


class LabelEntry(BaseModel):
    """A label that a correction can name."""

    id: str
    name: str
    group: str | None


class Labels(BaseModel):
    """What a correction can name, beside anything else."""

    labels: list[LabelEntry]
    others: list[str] = Field(description="Animals that people named and the model does not know.")
