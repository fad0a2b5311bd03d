"""Engines and the classifier: from photos to typed answers.

May import ``bundle``, ``imaging`` and ``errors``; never torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["Answer", "Candidate", "Classifier", "FileResult", "Prediction"]

if TYPE_CHECKING:
    from animal_classification.inference.classifier import Classifier
    from animal_classification.inference.results import Answer, Candidate, FileResult, Prediction


def __getattr__(name: str) -> object:
    if name == "Classifier":
        from animal_classification.inference.classifier import Classifier

        return Classifier
    if name in __all__:
        from animal_classification.inference import results

        return getattr(results, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
