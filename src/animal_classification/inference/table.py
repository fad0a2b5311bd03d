"""The table's rows: which columns, in which order, and what stands in them (a contract: docs/predict.md).

A row is what ``json`` and ``jsonl`` hold; ``csv`` and ``parquet`` spread ``top`` over columns. Imports nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from animal_classification.inference.results import FileResult, Prediction

DIGITS = 6
SET_SEPARATOR = "|"
_FIRST = ("path", "label", "label_id", "probability", "group", "group_probability", "unknown", "set")
_LAST = ("model", "model_version", "error")


class Guess(TypedDict):
    """One of the most probable labels."""

    label: str
    label_id: str | None
    probability: float


class Row(TypedDict):
    """One file; everything between ``path`` and ``model`` is empty where ``error`` says why."""

    path: str
    label: str | None
    label_id: str | None
    probability: float | None
    group: str | None
    group_probability: float | None
    unknown: bool | None
    set: list[str]
    top: list[Guess]
    model: str
    model_version: str
    error: str | None


def columns(top_k: int) -> list[str]:
    """Names of the columns of ``csv`` and ``parquet``.

    >>> columns(2)[7:10]
    ['set', 'label_2', 'probability_2']
    """
    guesses = [f"{name}_{rank}" for rank in range(2, top_k + 1) for name in ("label", "probability")]
    return [*_FIRST, *guesses, *_LAST]


def to_row(result: FileResult, *, model: str, version: str) -> Row:
    """The row of a result, from the model of that name and version."""
    row: Row = {
        "path": result.path,
        "label": None,
        "label_id": None,
        "probability": None,
        "group": None,
        "group_probability": None,
        "unknown": None,
        "set": [],
        "top": [],
        "model": model,
        "model_version": version,
        "error": result.error,
    }
    if result.prediction is not None:
        row.update(_answered(result.prediction))  # type: ignore[typeddict-item]
    return row


def _answered(prediction: Prediction) -> dict[str, Any]:
    return {
        "label": prediction.label,
        "label_id": prediction.label_id,
        "probability": round(prediction.probability, DIGITS),
        "group": prediction.group,
        "group_probability": None
        if prediction.group_probability is None
        else round(prediction.group_probability, DIGITS),
        "unknown": prediction.unknown,
        "set": list(prediction.set),
        "top": [
            {"label": guess.label, "label_id": guess.label_id, "probability": round(guess.probability, DIGITS)}
            for guess in prediction.top
        ],
    }


def is_row(value: Any) -> bool:
    """Whether something read from a file can be a row."""
    return isinstance(value, dict) and value.keys() >= Row.__annotations__.keys() and isinstance(value["path"], str)
