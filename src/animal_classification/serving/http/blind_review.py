"""Disagreements of two models as a person should see them: two answers, and nothing that tells which is whose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_HIDDEN: Mapping[str, Any] = {
    "label": "",
    "label_id": "",
    "answer": "",
    "level": "",
    "probability": 0.0,
    "unknown": False,
    "doubt": 0.0,
    "labels": (),
    "top": (),
    "version": "",
    "boxes": None,
}


def blind(row: Mapping[str, Any]) -> dict[str, Any]:
    """A prediction's row without what the model said."""
    hidden = {name: list(value) if isinstance(value, tuple) else value for name, value in _HIDDEN.items()}
    return {**row, **hidden, "feedback": None}


def shown_choices(row: Mapping[str, Any], names: Mapping[str, str]) -> list[str]:
    """The two answers by name, in the order that the row has them in.

    Args:
        row: With ``choices``, ids of labels; ``None`` for unknown.
        names: Of the labels, by id.
    """
    return ["unknown" if choice is None else names.get(choice, choice) for choice in row["choices"]]
