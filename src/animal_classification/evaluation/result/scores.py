"""How good it is: overall, by class and by slice; calibration, prediction sets, photos of none of the classes."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from animal_classification.bundle.schema import Conformal, Unknown


class ResultModel(BaseModel):
    """Base of all parts: frozen, and no key that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Interval(ResultModel):
    """A number and where it would probably lie on other photos of the kind: 95% interval."""

    value: float
    low: float
    high: float


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


class Bar(ResultModel):
    """One bar of a reliability diagram: photos with a confidence from ``low`` to ``high``."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


class Reliability(ResultModel):
    """Whether probabilities mean what they say, at one temperature.

    Attributes:
        temperature: Logits are divided by it.
        ece: Expected calibration error in 15 bins of equally many photos, which errs less on few photos than bins of
            equal width do (Roelofs et al. 2022).
        ece_by_chance: What it would be on average if the model were calibrated perfectly: the share of right answers
            among few photos is never quite their confidence.
        ece_equal_width: The same in 15 bins of equal width (Guo et al. 2017).
        ece_equal_width_by_chance: What that would be.
        brier: Mean squared distance of the probabilities from the truth, 0 to 2.
        log_loss: Mean negative logarithm of the truth's probability.
        bins: Of equally many photos.
        bins_equal_width: Of equal width.
    """

    temperature: float
    ece: float
    ece_by_chance: float
    ece_equal_width: float
    ece_equal_width_by_chance: float
    brier: float
    log_loss: float
    bins: list[Bar]
    bins_equal_width: list[Bar]


class CalibrationResult(ResultModel):
    """Before and after temperature scaling."""

    before: Reliability
    after: Reliability


class SetResult(ResultModel):
    """Prediction sets, as the bundle's rule makes them.

    Attributes:
        rule: Of the bundle.
        coverage: How often the drawn sets hold the truth: to be compared with ``1 - rule.alpha``, which it must meet
            from both sides.
        coverage_shown: How often the sets that predictions carry hold it: at least as often.
        mean_size: Labels in a shown set.
        sizes: Photos by the number of labels in their set.
        by_class: Coverage of the shown sets by the name of the true class.
    """

    rule: Conformal
    coverage: Interval
    coverage_shown: float
    mean_size: float
    sizes: dict[int, int]
    by_class: dict[str, float]


class UnknownScore(ResultModel):
    """How well one score tells unknown photos from known ones."""

    name: str
    auroc: float
    fpr95: float


class UnknownResult(ResultModel):
    """Photos of none of the classes.

    Attributes:
        rule: Of the bundle.
        n: Unknown photos looked at; the numbers about them are ``None`` without any.
        refused_known: Share of known photos that count as unknown.
        refused_unknown: Share of unknown photos that do.
        auroc: Probability that a known photo has a higher score than an unknown one.
        fpr95: Share of unknown photos that pass at the threshold that 95% of the known ones pass.
        others: The same for other scores, to compare.
    """

    rule: Unknown
    n: int
    refused_known: float | None
    refused_unknown: float | None
    auroc: float | None
    fpr95: float | None
    others: list[UnknownScore]
