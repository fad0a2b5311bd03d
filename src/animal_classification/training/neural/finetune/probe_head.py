"""The probe's head, where fine-tuning begins, and what it says of photos that it has not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from animal_classification.common.limits import available_cpus
from animal_classification.evaluation.fit_postprocessing import HeldOut
from animal_classification.training.probe.head import choose, fit
from animal_classification.training.probe.linear_models import EmbeddedPhotos, LinearHead
from animal_classification.training.probe.stratified_folds import deal

if TYPE_CHECKING:
    from animal_classification.data.manifest import ManifestRow
    from animal_classification.training.dataset import DatasetSplit

FOLDS = 5
STRENGTHS = (0.003, 0.01, 0.03, 0.1)


@dataclass(frozen=True)
class Learned:
    """Photos that something learns from.

    Attributes:
        rows: The photos.
        targets: Their classes, ``[N]``.
        units: Equal numbers for what must not be torn apart, ``[N]``.
        embeddings: What the pretrained network gives for them, float32 ``[N, V, D]``, for ``V`` views; the first is the
            photo as it is.
    """

    rows: Sequence[ManifestRow]
    targets: NDArray[np.int64]
    units: NDArray[np.int64]
    embeddings: NDArray[np.float32]

    @classmethod
    def of(cls, part: DatasetSplit, units: Mapping[str, int], embeddings: NDArray[np.float32]) -> Learned:
        """The photos of a split."""
        known = [units.get(row.path, -1 - index) for index, row in enumerate(part.rows)]
        return cls(part.rows, part.targets, np.array(known, dtype=np.int64), embeddings)

    def folds(self, count: int) -> NDArray[np.int64]:
        """The number of the fold that does not learn from a photo, ``[N]``."""
        return deal(self.targets, self.units.tolist(), [row.sha256 or "" for row in self.rows], count)

    def at(self, positions: NDArray[np.int64]) -> Learned:
        """Some of them."""
        rows = [self.rows[index] for index in positions]
        return Learned(rows, self.targets[positions], self.units[positions], self.embeddings[positions])

    def followed_by(self, other: Learned) -> Learned:
        """Both."""
        return Learned(
            [*self.rows, *other.rows],
            np.concatenate([self.targets, other.targets]),
            np.concatenate([self.units, other.units]),
            np.concatenate([self.embeddings, other.embeddings]),
        )


@dataclass(frozen=True)
class Start:
    """Where fine-tuning begins.

    Attributes:
        head: At the temperature that suits it.
        held_out: What heads fitted without a photo's fold say of it, at the same temperature.
    """

    head: LinearHead
    held_out: HeldOut


def starting_head(learned: Learned, *, classes: int, own: LinearHead | None, balance: bool) -> Start:
    """Fit it to photos as they are.

    Args:
        learned: The photos.
        classes: How many there are.
        own: The backbone's own classifier, if it is linear.
        balance: Rare classes count as much as frequent ones.
    """
    embeddings, folds = learned.embeddings[:, 0], learned.folds(FOLDS)
    examples = EmbeddedPhotos(embeddings.astype(np.float64), learned.targets, classes, own, balance=balance)
    choice = choose(examples, folds, STRENGTHS, workers=available_cpus())
    head = fit(examples, choice)
    judged = choice.positions
    held_out = HeldOut(
        logits=choice.logits / choice.temperature,
        targets=learned.targets[judged],
        embedding=embeddings[judged],
        folds=folds[judged],
        units=learned.units[judged],
    )
    return Start(LinearHead(head.weight / choice.temperature, head.bias / choice.temperature), held_out)
