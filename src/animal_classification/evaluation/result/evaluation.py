"""All parts together, as one object that JSON can hold."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from animal_classification.common.text_files import replace_text
from animal_classification.errors import UsageError
from animal_classification.evaluation.result.base import ResultModel
from animal_classification.evaluation.result.calibration_result import CalibrationResult, SetResult, UnknownResult
from animal_classification.evaluation.result.model_and_data import DataFacts, ModelFacts
from animal_classification.evaluation.result.photo_rows import NotablePhotos, PhotoRow
from animal_classification.evaluation.result.scores import ClassResult, ConfusionMatrix, ModelComparison, Overall, Slice


class Evaluation(ResultModel):
    """All of it."""

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
