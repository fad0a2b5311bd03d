"""The table of people's corrections, which is also a table to train with.

A word counts for the photo, not for the prediction: of several on one photo the last one stands.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

NO_ANIMAL = "no animal"
COLUMNS = (
    "path",
    "label",
    "who",
    "time",
    "file",
    "photo",
    "predicted",
    "predicted_probability",
    "verdict",
    "note",
)
# What a prediction is called that found no animal; as `inference.decide` writes it into the log.
_EMPTY_ANSWER = "not an animal"
# A spreadsheet would run such a cell; an apostrophe in front says that it is text.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
_FREE_TEXT = ("who", "file", "note")
Row = Mapping[str, Any]


def confirmed(prediction: Row) -> tuple[str, str | None]:
    """Name and id of what is confirmed where a person says that an answer is right: what was claimed, and no more."""
    return prediction["answer"], prediction["label_id"] if prediction["level"] == "label" else None


def training_label(row: Row) -> str | None:
    """The class that a photo shows by the word that stands on it; ``None`` where the word names none.

    A group or "animal" that was confirmed is no class, and neither is "none of the labels" in words of before. A photo
    without any animal is :data:`NO_ANIMAL`.

    Args:
        row: A prediction with its ``feedback``.
    """
    said = row["feedback"]
    if said["verdict"] == "corrected":
        return str(said["label"])
    if said["verdict"] == "none":
        return NO_ANIMAL if said["label"] == NO_ANIMAL else None
    if said["label"] is None:  # a word of before, which confirmed the label
        return None if row["unknown"] else str(row["label"])
    if row["level"] == "label":
        return str(said["label"])
    return NO_ANIMAL if said["label"] == _EMPTY_ANSWER else None


def probability_of_answer(row: Row) -> float | None:
    """How probable the answer was, as far as the log knows: nothing is kept of the probability of a group."""
    known = float(row["known"])
    shares = {"label": float(row["probability"]), "known": known, "unknown": 1.0 - known}
    return shares.get(row["level"])


def newest_of_each_photo(rows: Iterable[Row]) -> list[Row]:
    """Of several rows on one photo the first, where the latest word comes first."""
    found: dict[str, Row] = {}
    for row in rows:
        found.setdefault(row["photo"], row)
    return list(found.values())


def cells(row: Row, path: str, label: str | None) -> dict[str, str]:
    """A row of the table, by :data:`COLUMNS`."""
    said, probability = row["feedback"], probability_of_answer(row)
    values = {
        "path": f"./{path}" if path.startswith(_FORMULA) else path,
        "label": label or "",
        "who": said["who"] or "",
        "time": said["time"].isoformat(timespec="seconds"),
        "file": row["file"],
        "photo": row["photo"],
        "predicted": row["answer"],
        "predicted_probability": "" if probability is None else f"{probability:.6f}",
        "verdict": said["verdict"],
        "note": said["note"] or "",
    }
    return values | {name: as_text(values[name]) for name in _FREE_TEXT}


def as_csv(rows: Iterable[Mapping[str, str]]) -> str:
    """The table as text, with its head."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_text(cell: str) -> str:
    """A cell that no spreadsheet runs."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
