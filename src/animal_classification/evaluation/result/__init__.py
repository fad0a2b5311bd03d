"""An evaluation as one frozen object that JSON can hold: every number, and a row for every photo.

Whoever writes a page, a model card or a table reads this and computes nothing anew.
"""

from animal_classification.evaluation.result.evaluation import Evaluation
from animal_classification.evaluation.result.facts import DataFacts, ModelFacts
from animal_classification.evaluation.result.parts import Interval
from animal_classification.evaluation.result.photos import Examples, Guess, Neighbour, PhotoRow
from animal_classification.evaluation.result.scores import (
    Averages,
    ClassResult,
    Comparison,
    Confusion,
    Overall,
    Paired,
    Slice,
)
from animal_classification.evaluation.result.trust import (
    Bar,
    CalibrationResult,
    Reliability,
    SetResult,
    UnknownResult,
    UnknownScore,
)

__all__ = [
    "Averages",
    "Bar",
    "CalibrationResult",
    "ClassResult",
    "Comparison",
    "Confusion",
    "DataFacts",
    "Evaluation",
    "Examples",
    "Guess",
    "Interval",
    "ModelFacts",
    "Neighbour",
    "Overall",
    "Paired",
    "PhotoRow",
    "Reliability",
    "SetResult",
    "Slice",
    "UnknownResult",
    "UnknownScore",
]
