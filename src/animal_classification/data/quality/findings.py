"""A finding: a problem, the photos that have it, and its severity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "info"]

# In the order in which they are shown.
KINDS = {
    "unreadable": "cannot be read",
    "no_label": "without a label",
    "leak": "the same picture in two splits",
    "label_conflict": "the same picture under two labels",
    "wrong_label": "probably a wrong label",
    "duplicate": "exact copies",
    "near_duplicate": "near copies",
    "tiny": "too small to show anything",
    "one_class": "only one class",
    "empty_class": "classes without a photo",
    "small_class": "classes with few photos",
    "similar_labels": "labels that look like one",
}
# Reported, but leaving out photos does not mend them.
ADVICE = frozenset({"one_class", "empty_class", "small_class", "similar_labels"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One problem.

    Attributes:
        kind: One of ``KINDS``.
        severity: ``error`` spoils a result, ``warning`` weakens it, ``info`` is good to know.
        paths: The photos concerned.
        explanation: One line for a person.
        suggestion: The label that the photo probably should have.
        score: How sure, in [0, 1], where that is measured.
    """

    kind: str
    severity: Severity
    paths: tuple[str, ...]
    explanation: str
    suggestion: str | None = None
    score: float | None = None
