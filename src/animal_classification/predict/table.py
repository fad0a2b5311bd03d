"""The table's rows: which columns, in which order, and what stands in them (a contract: docs/predict.md).

A row is what ``json`` and ``jsonl`` hold; in ``csv``, ``xlsx`` and ``parquet``, ``top`` is spread over columns.
Imports nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from animal_classification.inference.results import FileResult, Prediction

DIGITS = 6
SET_SEPARATOR = "|"
_FIRST = (
    "path",
    "answer",
    "answer_probability",
    "label",
    "label_id",
    "probability",
    "group",
    "group_probability",
    "unknown",
    "set",
)
_LAST = ("model", "model_version", "error")


class LabelGuess(TypedDict):
    """One of the most probable labels."""

    label: str
    label_id: str | None
    probability: float


class Row(TypedDict):
    """One file; everything between ``path`` and ``model`` is empty where ``error`` says why.

    ``answer`` is what a person is told: a label, a group, "animal", "not an animal" or "unknown"; ``label`` is always
    the most probable label.
    """

    path: str
    answer: str | None
    answer_probability: float | None
    label: str | None
    label_id: str | None
    probability: float | None
    group: str | None
    group_probability: float | None
    unknown: bool | None
    set: list[str]
    top: list[LabelGuess]
    model: str
    model_version: str
    error: str | None


def columns(top_k: int) -> list[str]:
    """Names of the columns of ``csv``, ``xlsx`` and ``parquet``.

    >>> columns(2)[9:12]
    ['set', 'label_2', 'probability_2']
    """
    guesses = [f"{name}_{rank}" for rank in range(2, top_k + 1) for name in ("label", "probability")]
    return [*_FIRST, *guesses, *_LAST]


def to_row(result: FileResult, *, model: str, version: str) -> Row:
    """The row of a result, from the model of that name and version."""
    row: Row = {
        "path": result.path,
        "answer": None,
        "answer_probability": None,
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
        row.update(answered(result.prediction))  # type: ignore[typeddict-item]
    return row


def answered(prediction: Prediction) -> dict[str, Any]:
    """The part of a row that a prediction fills."""
    return {
        "answer": prediction.answer.name,
        "answer_probability": round(prediction.answer.probability, DIGITS),
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


def is_probability(column: str) -> bool:
    """Whether a column holds probabilities."""
    return column in {"answer_probability", "group_probability"} or column.partition("_")[0] == "probability"


Value = str | float | bool | None


def to_values(row: Row, top_k: int) -> list[Value]:
    """A row in the order of ``columns``; text that is empty is ``None``."""
    fixed: list[Value] = [cast("Value", row[name]) for name in _FIRST[:-1]]  # type: ignore[literal-required]
    guesses: list[Value] = [value for guess in row["top"][1:] for value in (guess["label"], guess["probability"])]
    missing: list[Value] = [None] * (2 * (top_k - 1) - len(guesses))
    labels = SET_SEPARATOR.join(row["set"]) or None
    return [*fixed, labels, *guesses, *missing, row["model"], row["model_version"], row["error"]]


def from_values(values: Sequence[Any]) -> Row:
    """The inverse of ``to_values``, but for the ids of the second and further labels, which no column holds.

    Raises:
        ValueError: There are fewer values than the columns that every table has.
    """
    first, last = len(_FIRST), len(_LAST)
    if len(values) < first + last:
        raise ValueError(f"a row has {len(values)} cells")
    known: dict[str, Any] = dict(zip(_FIRST, values[:first], strict=True))
    labels, rest = known["set"], values[first:-last]
    top: list[LabelGuess] = [
        {"label": label, "label_id": None, "probability": probability}
        for label, probability in zip(rest[::2], rest[1::2], strict=True)
        if label is not None
    ]
    if known["label"] is not None:
        top.insert(0, {"label": known["label"], "label_id": known["label_id"], "probability": known["probability"]})
    model, version, error = values[-last:]
    known |= {"set": labels.split(SET_SEPARATOR) if labels else [], "top": top}
    return cast("Row", known | {"model": model or "", "model_version": version or "", "error": error})


def is_row(value: Any) -> bool:
    """Whether something read from a file can be a row."""
    return isinstance(value, dict) and value.keys() >= Row.__annotations__.keys() and isinstance(value["path"], str)
