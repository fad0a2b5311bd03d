"""How good a model is, on photos that it has not seen: measured, calibrated, explained.

May import ``inference``, ``data``, ``bundle``, ``imaging`` and ``errors``; never torch. What training needs of it
(``calibrate``) is NumPy alone; ``evaluate`` needs the extra ``evaluate``.

Names are resolved on first use, so that importing this room costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from animal_classification.evaluation.evaluator import evaluate
    from animal_classification.evaluation.fit_postprocessing import HeldOut, Postprocessing, calibrate
    from animal_classification.evaluation.result import Evaluation

__all__ = ["Evaluation", "HeldOut", "Postprocessing", "calibrate", "evaluate"]

_HOME = {
    "Evaluation": "result",
    "HeldOut": "fit_postprocessing",
    "Postprocessing": "fit_postprocessing",
    "calibrate": "fit_postprocessing",
    "evaluate": "evaluator",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
