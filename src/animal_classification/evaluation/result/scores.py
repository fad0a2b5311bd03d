"""How often it is right: over all photos, by class, by slice, and beside another model."""

from __future__ import annotations

from typing import Literal

from animal_classification.evaluation.result.base import Interval, ResultModel
from animal_classification.evaluation.result.model_and_data import ModelFacts


class Averages(ResultModel):
    """Precision, recall and F1 over classes; ``ap`` is average precision, the area below the precision-recall curve."""

    precision: float
    recall: float
    f1: float
    ap: float


class Overall(ResultModel):
    """The whole in a few numbers.

    Attributes:
        accuracy: Share of photos whose most probable label is the right one.
        answered_right: Share of photos whose answer is right as a person gets it: the right label, or a right group
            where the model answers with one, and not "unknown".
        balanced_accuracy: Mean of the classes' recalls.
        top: Share of photos whose truth is among the k most probable labels, by k.
        macro: Every class counts alike.
        weighted: Every photo counts alike: the accuracy is ``weighted.recall``.
    """

    accuracy: Interval
    answered_right: Interval
    balanced_accuracy: Interval
    top: dict[int, float]
    macro: Averages
    weighted: Averages


class ClassResult(ResultModel):
    """One of the model's classes.

    Attributes:
        n: Photos of it.
        answered: Photos that were taken for it.
        recall_interval: Of the recall; ``None`` without photos.
        taken_for: The class that its photos are most often taken for by mistake, and how often.
    """

    id: str
    name: str
    n: int
    answered: int
    precision: float
    recall: float
    f1: float
    ap: float
    recall_interval: Interval | None = None
    taken_for: str | None = None
    mistaken: int = 0


class ConfusionMatrix(ResultModel):
    """Which class was taken for which.

    Attributes:
        labels: Names, in an order in which confused classes stand together.
        matrix: ``[true][answered]``, photos, in that order.
        pairs: The commonest mistakes: true name, answer, photos.
    """

    labels: list[str]
    matrix: list[list[int]]
    pairs: list[tuple[str, str, int]]


class Slice(ResultModel):
    """A part of the photos.

    Attributes:
        by: ``group``, ``size`` (shorter side of the photo in pixels) or ``brightness`` (mean of the crop, 0 to 255).
        name: Which part.
        n: Photos.
        units: How many of them are independent of each other, as far as known.
        p_value: How often chance alone makes a part that is as good as the others look this bad.
        weaker: The model is worse here: so says the test at 5% for all parts together (Holm 1979).
    """

    by: Literal["group", "size", "brightness"]
    name: str
    n: int
    units: int
    accuracy: Interval
    confidence: float
    p_value: float
    weaker: bool


class Paired(ResultModel):
    """A share of the same photos, of two models.

    Attributes:
        this: This model's.
        that: The other's.
        difference: The first less the second.
        only_this: Photos that only this model has right.
        only_that: Photos that only the other has right.
        p_value: Of the exact permutation test over units (McNemar's, where photos are independent): how probable a
            split this uneven is where both are equally good.
    """

    this: float
    that: float
    difference: Interval
    only_this: int
    only_that: int
    p_value: float


class ModelComparison(ResultModel):
    """Another model on the same photos.

    Attributes:
        other: Which.
        n: Photos of labels that both know.
        units: How many of them are independent of each other, as far as known.
        accuracy: Of this model on them.
        other_accuracy: Of the other.
        difference: This model's accuracy less the other's.
        only_this: Photos that only this model has right.
        only_other: Photos that only the other has right.
        p_value: As in ``Paired``.
        answered_right: The same of what people are told.
    """

    other: ModelFacts
    n: int
    units: int
    accuracy: float
    other_accuracy: float
    difference: Interval
    only_this: int
    only_other: int
    p_value: float
    answered_right: Paired
