"""Says in one line why an answer is what it is: ``grey fox 0.41 < 0.65; fox 0.54 < 0.65; Canidae 0.996``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from animal_classification.bundle.schema import Label
    from animal_classification.taxonomy.allowed import AllowedLabels
    from animal_classification.taxonomy.taxa import Taxon

_DIGITS = (2, 3, 4)
_FINEST = 10_000


class DecisionText:
    """Writes ``decision_why``.

    Args:
        labels: In the order of the logits.
        taxa: From fine to coarse.
        threshold: What an answer must reach.
    """

    def __init__(self, labels: Sequence[Label], taxa: Sequence[Taxon], threshold: float) -> None:
        self._names = [label.name for label in labels]
        self._taxa = taxa
        self._threshold = threshold
        self._limit = f"{threshold:g}"
        self._above: list[list[int]] = [[] for _ in labels]
        for position, taxon in enumerate(taxa):
            for member in taxon.members:
                self._above[member].append(position)

    def label(self, top: int, probability: float) -> str:
        """For a label that is sure enough: ``coyote 0.93``."""
        return f"{self._names[top]} {self._number(probability)}"

    def chain(
        self,
        row: NDArray[np.float64],
        sums: NDArray[np.float64],
        top: int,
        chosen: int | None,
        allowed: AllowedLabels | None,
    ) -> str:
        """From the most probable label by the taxa above it to the answer.

        Args:
            row: Probabilities of the labels.
            sums: Probabilities of the taxa.
            top: The most probable label.
            chosen: The taxon that is answered; ``None`` for ``animal``.
            allowed: The list that was kept to.
        """
        words = [self._short(self._names[top], row[top], None if allowed is None else allowed.why_not[top])]
        said = float(row[top])
        for position in self._above[top]:
            if position == chosen or (chosen is not None and len(self._taxa[position].members) >= self._size(chosen)):
                break
            total = float(sums[position])
            if self._number(total) != self._number(said):
                words.append(self._short(self._taxa[position].name, total, "holds no allowed label"))
                said = total
        words.append(self._end(sums, chosen, allowed))
        return "; ".join(word for word in words if word)

    def _size(self, position: int) -> int:
        return len(self._taxa[position].members)

    def _short(self, name: str, probability: float, why_not: str | None) -> str:
        number = self._number(probability)
        if probability < self._threshold:
            return f"{name} {number} < {self._limit}"
        return f"{name} {number} {why_not}" if why_not else f"{name} {number}"

    def _end(self, sums: NDArray[np.float64], chosen: int | None, allowed: AllowedLabels | None) -> str:
        if chosen is None:
            return ""
        taxon = self._taxa[chosen]
        text = f"{taxon.name} {self._number(sums[chosen])}"
        if allowed is None:
            return text
        left = [member for member in taxon.members if allowed.mask[member]]
        return f"{text}, of which only {self._names[left[0]]} is allowed" if len(left) == 1 else text

    def _number(self, probability: float) -> str:
        """As few digits as show on which side of the threshold it is, and that it is less than 1."""
        for digits in _DIGITS:
            shown = float(f"{probability:.{digits}f}")
            if (shown >= self._threshold) == (probability >= self._threshold) and (shown < 1 or probability >= 1):
                return f"{probability:.{digits}f}"
        return f"{math.floor(probability * _FINEST) / _FINEST:.4f}"
