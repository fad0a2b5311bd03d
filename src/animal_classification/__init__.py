"""Names for the animals in your photos.

``from animal_classification import Classifier`` is the way in. Importing this package loads no engine:
public names are resolved on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["Classifier", "Prediction", "__version__"]

if TYPE_CHECKING:
    from animal_classification.inference import Classifier, Prediction


def __getattr__(name: str) -> object:
    if name in {"Classifier", "Prediction"}:
        from animal_classification import inference

        return getattr(inference, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
