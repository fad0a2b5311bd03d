"""How often it is right: over all photos, by class, by slice, and beside another model."""

from __future__ import annotations

from typing import Literal

from animal_classification.evaluation.result.facts import ModelFacts
from animal_classification.evaluation.result.parts import Interval, Part


class Averages(Part):
    """Precision, recall and F1 over classes; ``ap`` is average precision, the area below the precision-recall curve."""

    precision: float
    recall: float
    f1: float
    ap: float


class Overall(Part):
    """The whole in a few numbers.

    Attributes:
        accuracy: Share of right answers.
        balanced_accuracy: Mean of the classes' recalls.
        top: Share of photos whose truth is among the k most probable labels, by k.
        macro: Every class counts alike.
        weighted: Every photo counts alike: the accuracy is ``weighted.recall``.
    """

    accuracy: Interval
    balanced_accuracy: Interval
    top: dict[int, float]
    macro: Averages
    weighted: Averages


class ClassResult(Part):
    """One of the model's classes.

    Attributes:
        n: Photos of it.
        answered: Photos that were taken for it.
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
    taken_for: str | None = None
    mistaken: int = 0


class Confusion(Part):
    """Which class was taken for which.

    Attributes:
        labels: Names, in an order in which confused classes stand together.
        matrix: ``[true][answered]``, photos, in that order.
        pairs: The commonest mistakes: true name, answer, photos.
    """

    labels: list[str]
    matrix: list[list[int]]
    pairs: list[tuple[str, str, int]]


class Slice(Part):
    """A part of the photos.

    Attributes:
        by: ``group``, ``size`` (shorter side of the photo in pixels) or ``brightness`` (mean of the crop, 0 to 255).
        name: Which part.
    """

    by: Literal["group", "size", "brightness"]
    name: str
    n: int
    accuracy: Interval
    confidence: float


class Comparison(Part):
    """Another model on the same photos.

    Attributes:
        other: Which.
        n: Photos of labels that both know.
        accuracy: Of this model on them.
        other_accuracy: Of the other.
        difference: This model's accuracy less the other's.
        only_this: Photos that only this model has right.
        only_other: Photos that only the other has right.
        p_value: Of McNemar's exact test: how probable a split this uneven is where both are equally good.
    """

    other: ModelFacts
    n: int
    accuracy: float
    other_accuracy: float
    difference: Interval
    only_this: int
    only_other: int
    p_value: float
