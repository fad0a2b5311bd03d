"""The probe's head, which fine-tuning starts from, and its logits for photos of other folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from animal_classification.common.limits import available_cpus
from animal_classification.evaluation.fit_postprocessing import HeldOut
from animal_classification.training.probe.head import cross_validate, fit_head, stratified_group_kfold
from animal_classification.training.probe.linear_models import EmbeddedPhotos, LinearHead

if TYPE_CHECKING:
    from animal_classification.data.manifest import ManifestRow
    from animal_classification.training.dataset import DatasetSplit

FOLDS = 5
STRENGTHS = (0.003, 0.01, 0.03, 0.1)


@dataclass(frozen=True)
class EmbeddedSplit:
    """A split with the embeddings that the pretrained network gives.

    Attributes:
        rows: The photos.
        targets: Their classes, ``[N]``.
        units: Equal numbers for photos that must stay in one fold, ``[N]``.
        embeddings: float32 ``[N, V, D]``, for ``V`` views, of which the first is the unchanged photo.
    """

    rows: Sequence[ManifestRow]
    targets: NDArray[np.int64]
    units: NDArray[np.int64]
    embeddings: NDArray[np.float32]

    @classmethod
    def of(cls, part: DatasetSplit, units: Mapping[str, int], embeddings: NDArray[np.float32]) -> EmbeddedSplit:
        """The photos of a split."""
        known = [units.get(row.path, -1 - index) for index, row in enumerate(part.rows)]
        return cls(part.rows, part.targets, np.array(known, dtype=np.int64), embeddings)

    def folds(self, count: int) -> NDArray[np.int64]:
        """The number of the fold that does not learn from a photo, ``[N]``."""
        return stratified_group_kfold(self.targets, self.units.tolist(), [row.sha256 or "" for row in self.rows], count)

    def at(self, positions: NDArray[np.int64]) -> EmbeddedSplit:
        """Some of them."""
        rows = [self.rows[index] for index in positions]
        return EmbeddedSplit(rows, self.targets[positions], self.units[positions], self.embeddings[positions])

    def followed_by(self, other: EmbeddedSplit) -> EmbeddedSplit:
        """Both."""
        return EmbeddedSplit(
            [*self.rows, *other.rows],
            np.concatenate([self.targets, other.targets]),
            np.concatenate([self.units, other.units]),
            np.concatenate([self.embeddings, other.embeddings]),
        )


@dataclass(frozen=True)
class FittedHead:
    """A head and how it does on held-out photos.

    Attributes:
        head: At the temperature that suits it.
        held_out: Logits by heads that were fitted without the photo's fold, at the same temperature.
    """

    head: LinearHead
    held_out: HeldOut


def fit_probe_head(split: EmbeddedSplit, *, classes: int, pretrained: LinearHead | None, balance: bool) -> FittedHead:
    """Fit the head to unchanged photos.

    Args:
        split: The photos.
        classes: How many there are.
        pretrained: The backbone's classifier, if it is linear.
        balance: Rare classes count as much as frequent ones.
    """
    embeddings, folds = split.embeddings[:, 0], split.folds(FOLDS)
    examples = EmbeddedPhotos(embeddings.astype(np.float64), split.targets, classes, pretrained, balance=balance)
    choice = cross_validate(examples, folds, STRENGTHS, workers=available_cpus())
    head = fit_head(examples, choice)
    judged = choice.positions
    held_out = HeldOut(
        logits=choice.logits / choice.temperature,
        targets=split.targets[judged],
        embedding=embeddings[judged],
        folds=folds[judged],
        units=split.units[judged],
    )
    return FittedHead(LinearHead(head.weight / choice.temperature, head.bias / choice.temperature), held_out)
