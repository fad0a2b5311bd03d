"""What it says of every photo, and which photos are worth a look."""

from __future__ import annotations

from pydantic import Field

from animal_classification.evaluation.result.base import ResultModel


class RankedLabel(ResultModel):
    """A label and its probability."""

    label: str
    probability: float


class Neighbour(ResultModel):
    """A training photo that is like a photo: path as in the training data, cosine of the embeddings."""

    path: str
    label: str
    similarity: float


class PhotoRow(ResultModel):
    """One photo; what a model says of it is empty where ``error`` says why.

    Attributes:
        path: Below the source's root, with forward slashes.
        truth: The label that it came with, by the model's name for it where it has one.
        known: The model knows this label.
        correct: The label is right; ``None`` for labels that the model does not know.
        answered_right: A person is told what it shows: the right label or a right group, and not that it is unknown;
            ``None`` like ``correct``.
        p_truth: Probability of the truth.
        set: The prediction set.
        brightness: Mean of the crop that the model sees, 0 to 255.
        seen: The model was trained or calibrated with this picture.
        nearest: The most similar training photos, for the photos that ``examples`` names.
    """

    path: str
    sha256: str | None
    truth: str
    known: bool
    group: str | None
    width: int | None
    height: int | None
    error: str | None = None
    answer: str | None = None
    probability: float | None = None
    correct: bool | None = None
    answered_right: bool | None = None
    p_truth: float | None = None
    top: list[RankedLabel] = Field(default_factory=list)
    set: list[str] = Field(default_factory=list)
    unknown: bool | None = None
    known_score: float | None = None
    brightness: float | None = None
    seen: bool = False
    nearest: list[Neighbour] = Field(default_factory=list)


class NotablePhotos(ResultModel):
    """Photos worth a look, as positions in ``photos``.

    Attributes:
        confident_mistakes: Wrong answers, the most confident first: the model's worst errors, or wrong labels.
        uncertain: The least confident first, right or wrong.
        typical: For each class, the right answers that lie nearest to the middle of the class.
        unknown_accepted: Unknown photos that were taken for one of the classes, the surest first.
        known_refused: Photos of the classes that count as unknown.
    """

    confident_mistakes: list[int]
    uncertain: list[int]
    typical: dict[str, list[int]]
    unknown_accepted: list[int]
    known_refused: list[int]
