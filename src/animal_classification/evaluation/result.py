"""An evaluation as one frozen object that JSON can hold: every number, and a row for every photo.

Whoever writes a page, a model card or a table reads this and computes nothing anew.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from animal_classification.bundle.schema import Conformal, Unknown
from animal_classification.errors import OutputError, UsageError

RESULT_VERSION = 1


class Part(BaseModel):
    """Base of all parts: frozen, and no key that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Interval(Part):
    """A number and where it would probably lie on other photos of the kind: 95% bootstrap interval."""

    value: float
    low: float
    high: float


class ModelFacts(Part):
    """Which model.

    Attributes:
        sha256: Of its ``bundle.json``.
        classes: How many it knows.
        data_version: What it learned from.
        n_train: From how many photos.
        recipe: How it was trained, where it says so.
        engine: What ran it here.
    """

    name: str
    version: str
    sha256: str
    classes: int
    data_version: str
    n_train: int | None
    recipe: str | None
    engine: str


class DataFacts(Part):
    """Which photos.

    Attributes:
        source: As it was named.
        version: The data version of the source.
        split: ``test`` and so on, or ``all``.
        photos: All of the split: scored, unknown and unreadable ones.
        scored: Of labels that the model knows.
        unknown: Of labels that it does not know; only unknown-rejection is measured on them.
        unreadable: Could not be used; each has a row that says why.
        left_out: In the source and not looked at, by reason.
        unknown_labels: Labels that the model does not know, and their photos.
        missing_labels: Names of the model's classes without a photo here.
        seen: Scored photos that the model was trained or calibrated with; results on them are too good.
        groups: How many sites, sequences or individuals the scored photos come from; 0 where nothing is said.
        units: How many of the scored photos are independent of each other, as far as known: copies and groups count
            once. The bootstrap draws these.
    """

    source: str
    version: str
    split: str
    photos: int
    scored: int
    unknown: int
    unreadable: int
    left_out: dict[str, int]
    unknown_labels: dict[str, int]
    missing_labels: list[str]
    seen: int
    groups: int
    units: int


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


class Bar(Part):
    """One bar of a reliability diagram: photos with a confidence from ``low`` to ``high``."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


class Reliability(Part):
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


class CalibrationResult(Part):
    """Before and after temperature scaling."""

    before: Reliability
    after: Reliability


class SetResult(Part):
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


class UnknownScore(Part):
    """How well one score tells unknown photos from known ones."""

    name: str
    auroc: float
    fpr95: float


class UnknownResult(Part):
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


class Guess(Part):
    """A label and its probability."""

    label: str
    probability: float


class Neighbour(Part):
    """A training photo that is like a photo: path as in the training data, cosine of the embeddings."""

    path: str
    label: str
    similarity: float


class PhotoRow(Part):
    """One photo; what a model says of it is empty where ``error`` says why.

    Attributes:
        path: Below the source's root, with forward slashes.
        truth: The label that it came with, by the model's name for it where it has one.
        known: The model knows this label.
        correct: The answer is right; ``None`` for labels that the model does not know.
        p_truth: Probability of the truth.
        set: The prediction set.
        brightness: Mean of the crop that the model sees, 0 to 255.
        seen: The model was trained or calibrated with these bytes.
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
    p_truth: float | None = None
    top: list[Guess] = []
    set: list[str] = []
    unknown: bool | None = None
    known_score: float | None = None
    brightness: float | None = None
    seen: bool = False
    nearest: list[Neighbour] = []


class Examples(Part):
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


class Evaluation(Part):
    """All of it."""

    result_version: Literal[1] = 1
    created: datetime
    seconds: float
    model: ModelFacts
    data: DataFacts
    overall: Overall
    classes: list[ClassResult]
    confusion: Confusion
    calibration: CalibrationResult
    sets: SetResult | None
    unknown: UnknownResult | None
    slices: list[Slice]
    comparison: Comparison | None = None
    examples: Examples
    photos: list[PhotoRow]
    notes: list[str]

    def summary(self) -> dict[str, Any]:
        """What a script wants, in one object; ``accuracy``, ``ece``, ``coverage`` and ``n`` are a contract."""
        overall, after, sets, unknown = self.overall, self.calibration.after, self.sets, self.unknown
        found: dict[str, Any] = {
            "n": self.data.scored,
            "accuracy": overall.accuracy.value,
            "accuracy_interval": [overall.accuracy.low, overall.accuracy.high],
            "balanced_accuracy": overall.balanced_accuracy.value,
            "balanced_accuracy_interval": [overall.balanced_accuracy.low, overall.balanced_accuracy.high],
            "top": {str(k): value for k, value in overall.top.items()},
            "precision": overall.weighted.precision,
            "recall": overall.weighted.recall,
            "f1": overall.weighted.f1,
            "macro": overall.macro.model_dump(),
            "ece": after.ece,
            "ece_by_chance": after.ece_by_chance,
            "ece_equal_width": after.ece_equal_width,
            "ece_before": self.calibration.before.ece,
            "brier": after.brier,
            "log_loss": after.log_loss,
            "temperature": after.temperature,
            "coverage": sets.coverage.value if sets else None,
            "coverage_wanted": 1 - sets.rule.alpha if sets else None,
            "coverage_shown": sets.coverage_shown if sets else None,
            "set_size": sets.mean_size if sets else None,
            "unknown": None if unknown is None else unknown.model_dump(exclude={"rule", "others"}),
            "unreadable": self.data.unreadable,
            "data": self.data.model_dump(exclude={"scored", "unreadable"}),
            "model": self.model.model_dump(),
            "seconds": self.seconds,
            "notes": self.notes,
        }
        if self.comparison is not None:
            found["comparison"] = self.comparison.model_dump()
        return found

    def write(self, path: str | Path) -> None:
        """Write it as JSON; a file of that name is replaced in one step.

        Raises:
            OutputError: The system refuses.
        """
        target = Path(path)
        temporary = target.with_name(f".{target.name}.tmp")
        try:
            temporary.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")
            temporary.replace(target)
        except OSError as error:
            raise OutputError(f"cannot write {str(path)!r}: {error.strerror or error}") from error
        finally:
            if temporary.exists():
                temporary.unlink()

    @classmethod
    def read(cls, path: str | Path) -> Evaluation:
        """Read what ``write`` wrote.

        Raises:
            UsageError: There is no such file, or it is no evaluation.
        """
        try:
            return cls.model_validate_json(Path(path).read_bytes())
        except OSError as error:
            raise UsageError(f"cannot read {str(path)!r}: {error.strerror or error}") from error
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise UsageError(
                f"{str(path)!r} is not an evaluation of this version ({where or 'content'}: {first['msg']}); "
                "write it again: animals evaluate --output"
            ) from error
