"""One answer for the photos of a burst: what most of them show decides for those that are not sure.

The answers before are kept by whoever calls: nothing here changes a probability.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from animal_classification.taxonomy import AllowedLabels, Decision, Taxonomy

MAJORITY = 2 / 3
"""Share of a burst's weight that a family needs."""
STAYS = 0.8
"""Probability from which another family is taken for a second species."""
KNOWN = 0.5
"""Sum of the labels' probabilities from which a box takes part: with less, it is more likely none of them."""
_SMALLEST = 1e-9  # probability; a label that one photo rules out is not ruled out by it alone


@dataclass(frozen=True, slots=True)
class BurstAnimal:
    """One animal box of a burst, or a whole picture where there is no detector.

    Attributes:
        probabilities: Of the labels, ``[L]``, calibrated; with background classes they add up to less than 1.
        weight: The box's confidence; 1 for a whole picture.
        decision: What was decided for it alone.
    """

    probabilities: NDArray[np.floating]
    weight: float
    decision: Decision


@dataclass(frozen=True, slots=True)
class SmoothedAnswer:
    """What the burst says of an animal in place of its own answer.

    Attributes:
        decision: On the pooled probabilities.
        why: One line with the numbers.
    """

    decision: Decision
    why: str


def smooth_burst(
    animals: Sequence[BurstAnimal], taxonomy: Taxonomy, allowed: AllowedLabels | None = None
) -> list[SmoothedAnswer | None]:
    """Decide again for the animals of one burst that are not sure, if one family is in most of it.

    A family holds the weight of those animals for whose labels it has the largest sum. If it holds two thirds of the
    burst, the animals that are not sure (no answer at family or below), or are less than 0.8 sure of another family,
    get the answer of the pooled vector ``softmax(sum(w log p) / sum(w))`` of the family's animals: their weighted
    geometric mean (a logarithmic opinion pool, Genest and Zidek 1986). What no label holds is pooled with them. An
    animal of at least 0.8 in another family is a second species, and stays. What is more likely none of the labels than
    one of them takes no part: a bush that a detector took for an animal. And nothing gets a wider answer than its own.

    Args:
        animals: All of the burst, in any order.
        taxonomy: The model's labels.
        allowed: The species list or geofence that the decisions kept to.

    Returns:
        For each animal its new answer; None where its own stands.
    """
    answers: list[SmoothedAnswer | None] = [None] * len(animals)
    voting = [index for index, animal in enumerate(animals) if float(animal.probabilities.sum()) >= KNOWN]
    if len(voting) < 2:
        return answers
    families = _Families(taxonomy)
    sums = families.sums(np.array([animals[index].probabilities for index in voting], np.float64))
    best = sums.argmax(axis=1)
    weights = np.array([animals[index].weight for index in voting])
    winner, share = _winner(best, weights)
    if share < MAJORITY - 1e-9:
        return answers
    pooled = taxonomy.decide(
        _pooled([animals[voting[row]] for row in np.flatnonzero(best == winner).tolist()]), allowed
    )
    for row, index in enumerate(voting):
        own, elsewhere, certainty = animals[index].decision, int(best[row]) != winner, float(sums[row].max())
        stands = certainty >= STAYS if elsewhere else _is_sure(own)
        if not stands and _says_more(pooled, own, taxonomy):
            why = f"burst of {len(voting)}: {families.names[winner]} in {share:.2f} of it; {pooled.why}"
            answers[index] = SmoothedAnswer(pooled, f"{why}; alone: {own.why}")
    return answers


def _winner(best: NDArray[np.intp], weights: NDArray[np.float64]) -> tuple[int, float]:
    """The family with the most weight, and its share of all; 0 where there is no weight."""
    total = float(weights.sum())
    held = {family: float(weights[best == family].sum()) for family in set(best.tolist())}
    winner = max(held, key=lambda family: (held[family], -family))
    return winner, held[winner] / total if total > 0 else 0.0


def _says_more(pooled: Decision, own: Decision, taxonomy: Taxonomy) -> bool:
    """Whether the burst's answer is another one, and no wider than that of an animal that is not sure of a family."""
    if pooled.level == "animal" or (pooled.answer, pooled.level) == (own.answer, own.level):
        return False
    return _is_sure(own) or _breadth(pooled, taxonomy) <= _breadth(own, taxonomy)


def _breadth(decision: Decision, taxonomy: Taxonomy) -> int:
    """How many labels an answer stands for."""
    if decision.label is not None:
        return 1
    same = (taxon for taxon in taxonomy.taxa if (taxon.name, taxon.level) == (decision.answer, decision.level))
    return next((len(taxon.members) for taxon in same), len(taxonomy.labels))


class _Families:
    """The sets that animals of a burst vote for: families; where a label has none, its coarsest group, or itself."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        members: dict[str, list[int]] = defaultdict(list)
        for index, (label, lineage) in enumerate(zip(taxonomy.labels, taxonomy.lineages, strict=True)):
            members[lineage.family or (label.groups[0] if label.groups else label.name)].append(index)
        self.names = list(members)
        self._family = np.empty(len(taxonomy.labels), np.intp)
        for family, labels in enumerate(members.values()):
            self._family[labels] = family

    def sums(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """``[N, L]`` to ``[N, families]``."""
        sums = np.zeros((len(probabilities), len(self.names)))
        np.add.at(sums.T, self._family, probabilities.T)
        return sums


def _is_sure(decision: Decision) -> bool:
    """Whether an answer names a family or something below it."""
    return decision.level == "label" or bool(decision.lineage.family)


def _pooled(animals: Sequence[BurstAnimal]) -> NDArray[np.float64]:
    """The weighted geometric mean ``[L]``; what no label holds is one more class of it."""
    # In a fixed order: sums of floating-point numbers depend on it, and the order of photos must not matter.
    ordered = sorted(animals, key=lambda animal: (animal.weight, animal.probabilities.tobytes()))
    labels = np.array([animal.probabilities for animal in ordered], np.float64)
    rest = np.maximum(1.0 - labels.sum(axis=1, keepdims=True), 0.0)
    logs = np.log(np.maximum(np.hstack([labels, rest]), _SMALLEST))
    weights = np.array([animal.weight for animal in ordered])
    mean = weights @ logs / weights.sum()
    powers = np.exp(mean - mean.max())
    return np.asarray(powers[:-1] / powers.sum(), np.float64)
