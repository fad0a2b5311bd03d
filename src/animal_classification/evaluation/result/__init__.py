"""An evaluation as one frozen object that JSON can hold: every number, and a row for every photo.

Whoever writes a page, a model card or a table reads this and computes nothing anew.
"""

from animal_classification.evaluation.result.base import Interval
from animal_classification.evaluation.result.calibration_result import (
    Bar,
    CalibrationResult,
    Reliability,
    SetResult,
    UnknownResult,
    UnknownScore,
)
from animal_classification.evaluation.result.evaluation import Evaluation
from animal_classification.evaluation.result.model_and_data import DataFacts, ModelFacts
from animal_classification.evaluation.result.photo_rows import Neighbour, NotablePhotos, PhotoRow, RankedLabel
from animal_classification.evaluation.result.scores import (
    Averages,
    ClassResult,
    ConfusionMatrix,
    ModelComparison,
    Overall,
    Paired,
    Slice,
)

__all__ = [
    "Averages",
    "Bar",
    "CalibrationResult",
    "ClassResult",
    "ConfusionMatrix",
    "DataFacts",
    "Evaluation",
    "Interval",
    "ModelComparison",
    "ModelFacts",
    "Neighbour",
    "NotablePhotos",
    "Overall",
    "Paired",
    "PhotoRow",
    "RankedLabel",
    "Reliability",
    "SetResult",
    "Slice",
    "UnknownResult",
    "UnknownScore",
]
