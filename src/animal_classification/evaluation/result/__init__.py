"""An evaluation as one frozen object that JSON can hold: every number, and a row for every photo.

Whoever writes a page, a model card or a table reads this and computes nothing anew.
"""

from animal_classification.evaluation.result.evaluation import (
    DataFacts,
    Evaluation,
    ModelComparison,
    ModelFacts,
    Neighbour,
    NotablePhotos,
    PhotoRow,
    RankedLabel,
)
from animal_classification.evaluation.result.robustness import ChangedPhotos
from animal_classification.evaluation.result.scores import (
    Averages,
    Bar,
    CalibrationResult,
    ClassResult,
    ConfusionMatrix,
    Interval,
    Overall,
    Paired,
    Reliability,
    SetResult,
    Slice,
    UnknownResult,
    UnknownScore,
)

__all__ = [
    "Averages",
    "Bar",
    "CalibrationResult",
    "ChangedPhotos",
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
