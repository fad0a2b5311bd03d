"""Which model on which photos, what it says of each, and all parts together as one object that JSON can hold."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from animal_classification.common.text_files import replace_text
from animal_classification.errors import UsageError
from animal_classification.evaluation.result.robustness import ChangedPhotos
from animal_classification.evaluation.result.scores import (
    CalibrationResult,
    ClassResult,
    ConfusionMatrix,
    Interval,
    Overall,
    Paired,
    ResultModel,
    SetResult,
    Slice,
    UnknownResult,
)


class ModelFacts(ResultModel):
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


class DataFacts(ResultModel):
    """Which photos.

    Attributes:
        source: As it was named.
        version: The data version of the source.
        split: ``test`` and so on, or ``all``.
        wanted: The split that was asked for: of photos without splits, ``test`` takes all that training has not seen.
        others: Files, folders and patterns of photos of none of the model's classes, as they were named.
        photos: All of the split: scored, unknown and unreadable ones.
        scored: Of labels that the model knows.
        unknown: Of labels that it does not know; only unknown-rejection is measured on them.
        unreadable: Could not be used; each has a row that says why.
        left_out: In the source and not looked at, by reason.
        unknown_labels: Labels that the model does not know, and their photos.
        missing_labels: Names of the model's classes without a photo here.
        seen: Scored photos that the model was trained or calibrated with, or copies of such; results on them are too
            good.
        seen_known: The bundle names the photos that it has seen, and copies were looked for: only then does ``seen``
            0 mean that these were kept apart.
        groups: How many sites, sequences or individuals the scored photos come from; 0 where nothing is said.
        units: How many of the scored photos are independent of each other, as far as known: copies and groups count
            once. Intervals and tests are about these.
    """

    source: str
    version: str
    split: str
    wanted: str
    others: list[str]
    photos: int
    scored: int
    unknown: int
    unreadable: int
    left_out: dict[str, int]
    unknown_labels: dict[str, int]
    missing_labels: list[str]
    seen: int
    seen_known: bool
    groups: int
    units: int


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


class Evaluation(ResultModel):
    """All of it; ``drift`` is empty where changed photos were not asked for."""

    result_version: Literal[2] = 2
    created: datetime
    seconds: float
    model: ModelFacts
    data: DataFacts
    overall: Overall
    classes: list[ClassResult]
    confusion: ConfusionMatrix
    calibration: CalibrationResult
    sets: SetResult | None
    unknown: UnknownResult | None
    slices: list[Slice]
    comparison: ModelComparison | None = None
    drift: list[ChangedPhotos] = Field(default_factory=list)
    examples: NotablePhotos
    photos: list[PhotoRow]
    notes: list[str]

    def summary(self) -> dict[str, Any]:
        """What a script wants, in one object; ``accuracy``, ``ece``, ``coverage`` and ``n`` are a contract."""
        overall, after, sets, unknown = self.overall, self.calibration.after, self.sets, self.unknown
        found: dict[str, Any] = {
            "n": self.data.scored,
            "accuracy": overall.accuracy.value,
            "accuracy_interval": [overall.accuracy.low, overall.accuracy.high],
            "answered_right": overall.answered_right.value,
            "answered_right_interval": [overall.answered_right.low, overall.answered_right.high],
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
        if self.drift:
            found["drift"] = [one.model_dump(mode="json") for one in self.drift]
        return found

    def write(self, path: str | Path) -> None:
        """Write it as JSON; a file of that name is replaced in one step.

        Raises:
            OutputError: The system refuses.
        """
        replace_text(self.model_dump_json(indent=1) + "\n", Path(path))

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
