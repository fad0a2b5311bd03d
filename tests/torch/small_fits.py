"""Fits of a small network to random photos, alone or in a team."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch  # noqa: TID253 - the tests that import this have found it
from torch import nn  # noqa: TID253

from animal_classification.training.neural import optimizers
from animal_classification.training.neural.augmentation import augment
from animal_classification.training.neural.fit import fit
from animal_classification.training.neural.fit_plan import FitPhotos, FitPlan
from animal_classification.training.neural.network import AnimalClassificationCNN
from animal_classification.training.recipe import RecipeInputs
from tests.torch.drawn import make_job, words

PHOTOS, CLASSES, SIZE = 101, 3, 16
BATCH = 20  # 20 steps in four epochs; a batch of one photo ends each


class Pixels:
    """Photos without files, which another process gets as they are."""

    def __init__(self, count: int, seed: int) -> None:
        self.array = np.random.default_rng(seed).integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)

    def __len__(self) -> int:
        return len(self.array)

    def take(self, indices: np.ndarray[Any, np.dtype[np.int64]]) -> np.ndarray[Any, np.dtype[np.uint8]]:
        return np.asarray(self.array[indices])


def photos(val: int = 31) -> FitPhotos:
    rng = np.random.default_rng(5)
    return FitPhotos(
        train=Pixels(PHOTOS, 1),
        train_targets=rng.choice(CLASSES, PHOTOS, p=[0.7, 0.2, 0.1]),
        val=Pixels(val, 2),
        val_targets=rng.integers(0, CLASSES, val),
        classes=CLASSES,
    )


def plan(**changes: Any) -> FitPlan:
    return replace(FitPlan(epochs=4, batch_size=BATCH, augment=augmented, label_smoothing=0.1), **changes)


def augmented(images: Any, keys: Any) -> Any:
    return augment(images, keys, 1.0)


class Whole(nn.Module):
    """A network that cannot be cut, with a layer that nothing uses, as timm's are."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused = nn.Linear(3 * SIZE * SIZE, CLASSES), nn.Linear(2, 2)

    def forward_features(self, images: Any) -> Any:
        return self.used(images.flatten(1) / 255)


def fitted(job: RecipeInputs, how: FitPlan, *, val: int = 31, network: Any = None) -> tuple[dict[str, Any], Any]:
    torch.manual_seed(0)
    network = network or AnimalClassificationCNN(CLASSES, size=SIZE, channels=(4, 8), hidden=16, dropout=0.5)
    found = fit(job, network, optimizers.groups(network.parameters(), job.config.optim), photos(val), how)
    return {name: value.clone() for name, value in network.state_dict().items()}, found


def one_job(drawn: Path, folder: Path, *more: str) -> RecipeInputs:
    return make_job(words(drawn, folder, "trainer.patience=0", "recipe.lr=0.01", *more))


def distance(one: dict[str, Any], other: dict[str, Any]) -> float:
    return max(float((one[name] - other[name]).abs().max()) for name in one)
