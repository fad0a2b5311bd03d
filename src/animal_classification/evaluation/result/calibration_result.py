"""How far its answers can be trusted: calibration, prediction sets, photos of none of the classes."""

from __future__ import annotations

from animal_classification.bundle.schema import Conformal, Unknown
from animal_classification.evaluation.result.base import Interval, ResultModel


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
