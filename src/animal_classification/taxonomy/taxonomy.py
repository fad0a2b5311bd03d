"""Decides at which level to answer: the label, or the finest taxon that is sure enough; within a species list.

The rule is the roll-up of SpeciesNet (Gadot et al. 2024, "To crop or not to crop: comparing whole-image and cropped
classification on a large dataset of camera trap images"), with sums over all labels instead of the best five, and
with the model's own groups among the taxa.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from animal_classification.taxonomy.decision import AnswerLevel, Decision, Rule
from animal_classification.taxonomy.decision_text import DecisionText
from animal_classification.taxonomy.lineage import Lineage, scientific_name
from animal_classification.taxonomy.taxa import TaxonSums, taxa_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from animal_classification.bundle.schema import BundleInfo, Label
    from animal_classification.taxonomy.allowed import AllowedLabels

DEFAULT_THRESHOLD = 0.65
ANIMAL = "animal"
_ROLLUP: Mapping[AnswerLevel, Rule] = {
    "genus": "rollup_genus",
    "family": "rollup_family",
    "order": "rollup_order",
    "class": "rollup_class",
    "group": "rollup_group",
}
# Bounds the sums of a batch to a few megabytes.
_ROWS_AT_ONCE = 2048


class Taxonomy:
    """A model's labels with the taxa above them.

    Args:
        labels: In the order of the logits.
        threshold: What an answer's probability must reach.

    Attributes:
        labels: As given.
        lineages: Of each label.
        taxa: The sets that may be answered, from fine to coarse.
        threshold: As given.
    """

    def __init__(self, labels: Sequence[Label], threshold: float = DEFAULT_THRESHOLD) -> None:
        self.labels = tuple(labels)
        self.threshold = threshold
        self.lineages = tuple(Lineage.of(label) for label in labels)
        self.taxa = taxa_of(self.labels)
        self._sums = TaxonSums([taxon.members for taxon in self.taxa])
        self._sizes = np.array([len(taxon.members) for taxon in self.taxa], np.intp)
        self._text = DecisionText(self.labels, self.taxa, threshold)

    @classmethod
    def of(cls, info: BundleInfo, threshold: float | None = None) -> Taxonomy:
        """Of a bundle; the threshold is the bundle's own, or 0.65 where it states none, unless one is given."""
        if threshold is None:
            threshold = info.rollup.threshold if info.rollup else DEFAULT_THRESHOLD
        return cls(info.labels, threshold)

    def sums(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probability of each of ``taxa``: ``[N, labels]`` to ``[N, taxa]``."""
        return self._sums(probabilities)

    def decide(self, probabilities: NDArray[np.floating], allowed: AllowedLabels | None = None) -> Decision:
        """For one vector ``[labels]``; see :meth:`decide_all`."""
        return self.decide_all(probabilities[None], allowed)[0]

    def decide_all(self, probabilities: NDArray[np.floating], allowed: AllowedLabels | None = None) -> list[Decision]:
        """One decision a row.

        A label that reaches the threshold (and is allowed) is the answer. Else it is the finest taxon that reaches it
        and holds an allowed label: that label itself where it is the only one. Else ``animal``.

        Args:
            probabilities: ``[N, labels]``, calibrated, over labels and background classes: a row may sum to less
                than 1. They are taken as they are and never renormalised.
            allowed: A species list, a geofence or both.
        """
        rows = np.asarray(probabilities, np.float64)
        decisions: list[Decision] = []
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            part = rows[start : start + _ROWS_AT_ONCE]
            sums = self.sums(part)
            tops = part.argmax(axis=1).tolist()
            decisions += [self._one(part[row], sums[row], top, allowed) for row, top in enumerate(tops)]
        return decisions

    def _one(
        self, row: NDArray[np.float64], sums: NDArray[np.float64], top: int, allowed: AllowedLabels | None
    ) -> Decision:
        sure = bool(row[top] >= self.threshold)
        if sure and (allowed is None or allowed.mask[top]):
            return self._label(top, row[top], "label", self._text.label(top, row[top]), top)
        reached = np.flatnonzero(sums >= self.threshold)
        plain = None if sure else self._finest(reached, sums)
        chosen = plain if allowed is None else self._finest(self._holding(reached, allowed), sums)
        why = self._text.chain(row, sums, top, chosen, allowed)
        if chosen is None:
            rule: Rule = "list_none" if sure or plain is not None else "animal"
            return Decision(ANIMAL, "animal", _unit(row.sum()), "", Lineage(), rule, why, None, top)
        only = self._only_one(chosen, allowed)
        if only is not None:
            return self._label(only, sums[chosen], "list_only_one", why, top)
        taxon = self.taxa[chosen]
        rule = _ROLLUP[taxon.level] if chosen == plain else "list_rollup"
        probability = _unit(sums[chosen])
        names = (taxon.scientific_name, taxon.lineage)
        return Decision(taxon.name, taxon.level, probability, *names, rule, why, None, top)

    def _label(self, index: int, probability: float, rule: Rule, why: str, top: int) -> Decision:
        name, lineage = self.labels[index].name, self.lineages[index]
        scientific = self.labels[index].taxon or scientific_name(lineage)
        return Decision(name, "label", _unit(probability), scientific, lineage, rule, why, index, top)

    def _finest(self, reached: NDArray[np.intp], sums: NDArray[np.float64]) -> int | None:
        """The taxon with the fewest labels; of several, the most probable."""
        if not len(reached):
            return None
        smallest = reached[self._sizes[reached] == self._sizes[reached[0]]]
        return int(smallest[sums[smallest].argmax()])

    def _holding(self, reached: NDArray[np.intp], allowed: AllowedLabels) -> NDArray[np.intp]:
        """Those that hold an allowed label."""
        holds = [bool(allowed.mask[list(self.taxa[position].members)].any()) for position in reached.tolist()]
        return reached[np.array(holds, np.bool_)]

    def _only_one(self, chosen: int, allowed: AllowedLabels | None) -> int | None:
        if allowed is None:
            return None
        left = [member for member in self.taxa[chosen].members if allowed.mask[member]]
        return left[0] if len(left) == 1 else None


def _unit(value: np.floating | float) -> float:
    return min(1.0, max(0.0, float(value)))
