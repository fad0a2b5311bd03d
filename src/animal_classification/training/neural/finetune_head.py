"""The probe's head, where fine-tuning begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from animal_classification.common.limits import available_cpus
from animal_classification.training.neural.pixels import Pixels
from animal_classification.training.probe.folds import deal
from animal_classification.training.probe.head import choose, fit
from animal_classification.training.probe.opinions import Examples, Head

if TYPE_CHECKING:
    from animal_classification.training.neural.fitting import Photos
    from animal_classification.training.recipe import Job

FOLDS = 5
STRENGTHS = (0.003, 0.01, 0.03, 0.1)


def starting_head(
    embeddings: NDArray[np.float32], photos: Photos, job: Job, *, own: Head | None, balance: bool
) -> Head:
    """Fitted to embeddings ``[N, V, D]`` of the training photos as they are, at the temperature that suits it."""
    rows = [*job.dataset.train.rows, *job.dataset.val.rows][: len(embeddings)]
    units = [job.dataset.units.get(row.path, -1 - index) for index, row in enumerate(rows)]
    targets = photos.train_targets
    folds = deal(targets, units, [row.sha256 or "" for row in rows], FOLDS)
    examples = Examples(embeddings[:, 0].astype(np.float64), targets, photos.classes, own, balance=balance)
    choice = choose(examples, folds, STRENGTHS, workers=available_cpus())
    head = fit(examples, choice)
    return Head(head.weight / choice.temperature, head.bias / choice.temperature)


@dataclass(frozen=True)
class Joined:
    """Photos of one split after those of another."""

    first: Pixels
    second: Pixels

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def take(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        before = indices < len(self.first)
        parts = [self.first.take(indices[before]), self.second.take(indices[~before] - len(self.first))]
        order = np.concatenate([np.flatnonzero(before), np.flatnonzero(~before)])
        result = np.concatenate([part for part in parts if len(part)])
        result[order] = result.copy()
        return result
