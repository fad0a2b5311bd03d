"""What is answered for one animal, and which rule did it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from animal_classification.taxonomy.lineage import Lineage

AnswerLevel = Literal["label", "group", "genus", "family", "order", "class", "animal"]
Rule = Literal[
    "label",
    "rollup_genus",
    "rollup_family",
    "rollup_order",
    "rollup_class",
    "rollup_group",
    "animal",
    "list_only_one",
    "list_rollup",
    "list_none",
]


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer for one vector of probabilities.

    Attributes:
        answer: What people read: a label's name, the common name of a group, a taxon, or ``animal``.
        level: What kind of name ``answer`` is. A group that is a taxon too (``bear``, Ursidae) has the taxon's rank.
        probability: The sum of the probabilities of the labels below ``answer`` (of those below the taxon where the
            list leaves one label of it), in [0, 1]; never renormalised.
        scientific_name: Of the finest taxon that holds all labels below ``answer``; empty where there is none.
        lineage: Of that taxon.
        decision: The rule that did it.
        why: One line with the numbers: ``grey fox 0.41 < 0.65; Canidae 0.996``.
        label: Index of the label that is the answer; ``None`` where the answer is wider than one label.
        top: Index of the most probable label, whatever was decided.
    """

    answer: str
    level: AnswerLevel
    probability: float
    scientific_name: str
    lineage: Lineage
    decision: Rule
    why: str
    label: int | None
    top: int
