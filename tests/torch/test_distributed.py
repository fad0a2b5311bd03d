"""Several processes compute what one would, and end together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from animal_classification.training.neural import optimizers
from animal_classification.training.neural.augmentation import Mixing, augment
from animal_classification.training.neural.fit import fit
from animal_classification.training.neural.fit_plan import FitPhotos, FitPlan
from animal_classification.training.neural.network import AnimalClassificationCNN
from animal_classification.training.neural.team import Team, leading
from animal_classification.training.recipe import RecipeInputs
from tests.torch.drawn import draw_photos, make_job, words

PHOTOS, CLASSES, SIZE = 101, 3, 16
BATCH = 20  # 20 steps in four epochs; a batch of one photo ends each


class Pixels:
    """Photos without files, which another process gets as they are."""

    def __init__(self, count: int, seed: int) -> None:
        self.array = np.random.default_rng(seed).integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)

    def __len__(self) -> int:
        return len(self.array)

    def take(self, indices: np.ndarray[Any, np.dtype[np.int64]]) -> np.ndarray[Any, np.dtype[np.uint8]]:
        return self.array[indices]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_photos(tmp_path_factory.mktemp("drawn") / "photos", each=8)


@pytest.fixture(scope="module")
def team(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    job = make_job(words(drawn, tmp_path_factory.mktemp("team"), "trainer.devices=2"))
    with leading(job.config.trainer) as two:
        yield two


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


def fitted(job: RecipeInputs, how: FitPlan, *, val: int = 31) -> tuple[dict[str, Any], Any]:
    torch.manual_seed(0)
    network = AnimalClassificationCNN(CLASSES, size=SIZE, channels=(4, 8), hidden=16, dropout=0.5)
    found = fit(job, network, optimizers.groups(network.parameters(), job.config.optim), photos(val), how)
    return {name: value.clone() for name, value in network.state_dict().items()}, found


def one_job(drawn: Path, folder: Path, *more: str) -> RecipeInputs:
    return make_job(words(drawn, folder, "trainer.patience=0", "recipe.lr=0.01", *more))


def distance(one: dict[str, Any], other: dict[str, Any]) -> float:
    return max(float((one[name] - other[name]).abs().max()) for name in one)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="weighted classes, smoothed labels, dropout, augmentation"),
        pytest.param({"mix": Mixing(0.4, 0.0)}, id="mixup"),
        pytest.param({"mix": Mixing(0.0, 1.0), "average": True}, id="cutmix, averaged weights"),
        pytest.param({"balance": False, "label_smoothing": 0.0}, id="plain"),
    ],
)
def test_two_processes_give_the_weights_of_one(
    drawn: Path, tmp_path: Path, team: Team, changes: dict[str, Any]
) -> None:
    how = plan(**changes)
    alone, one = fitted(one_job(drawn, tmp_path / "one"), how)
    shared, two = fitted(replace(one_job(drawn, tmp_path / "two"), team=team), how)
    start = AnimalClassificationCNN(CLASSES, size=SIZE, channels=(4, 8), hidden=16).state_dict()
    assert distance(alone, start) > 1e-2  # something was learned
    assert distance(alone, shared) < 1e-5
    assert [sorted(epoch) for epoch in one.history] == [sorted(epoch) for epoch in two.history]
    for mine, theirs in zip(one.history, two.history, strict=True):
        assert mine == pytest.approx(theirs, abs=1e-5)


def test_less_val_photos_than_processes(drawn: Path, tmp_path: Path, team: Team) -> None:
    how = plan(epochs=1)
    _, one = fitted(one_job(drawn, tmp_path / "one"), how, val=1)
    _, two = fitted(replace(one_job(drawn, tmp_path / "two"), team=team), how, val=1)
    assert one.metrics == pytest.approx(two.metrics, abs=1e-5)
