"""Several processes compute what one would."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from animal_classification.errors import UsageError
from animal_classification.imaging import PreprocessSpec
from animal_classification.training.neural import optimizers
from animal_classification.training.neural.augmentation import Mixing
from animal_classification.training.neural.cnn import load_photos
from animal_classification.training.neural.finetune.stages import UncutNetwork
from animal_classification.training.neural.fit import run_fit
from animal_classification.training.neural.fit_plan import FitTask
from animal_classification.training.neural.leader import leading
from animal_classification.training.neural.network import AnimalClassificationCNN
from animal_classification.training.neural.team import Team
from animal_classification.training.placement import Placement
from tests.torch.drawn import draw_photos, make_job, words
from tests.torch.small_fits import CLASSES, SIZE, Whole, distance, fitted, one_job, photos, plan


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_photos(tmp_path_factory.mktemp("drawn") / "photos", each=8)


@pytest.fixture(scope="module")
def team(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    job = make_job(words(drawn, tmp_path_factory.mktemp("team"), "trainer.devices=2"))
    with leading(job.config.trainer) as two:
        yield two


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


def test_accumulated_batches(drawn: Path, tmp_path: Path, team: Team) -> None:
    jobs = [one_job(drawn, tmp_path / name, "trainer.accumulate=3") for name in ("one", "two")]
    alone, _ = fitted(jobs[0], plan(epochs=2))
    shared, _ = fitted(replace(jobs[1], team=team), plan(epochs=2))
    assert distance(alone, shared) < 1e-5


def test_a_network_with_layers_that_nothing_uses(drawn: Path, tmp_path: Path, team: Team) -> None:
    torch.manual_seed(1)
    whole = UncutNetwork(Whole())
    alone, _ = fitted(one_job(drawn, tmp_path / "one"), plan(epochs=2), network=deepcopy(whole))
    shared, _ = fitted(replace(one_job(drawn, tmp_path / "two"), team=team), plan(epochs=2), network=deepcopy(whole))
    assert distance(alone, whole.state_dict()) > 1e-3
    assert distance(alone, shared) < 1e-5


def test_less_val_photos_than_processes(drawn: Path, tmp_path: Path, team: Team) -> None:
    how = plan(epochs=1)
    _, one = fitted(one_job(drawn, tmp_path / "one"), how, val=1)
    _, two = fitted(replace(one_job(drawn, tmp_path / "two"), team=team), how, val=1)
    assert one.metrics == pytest.approx(two.metrics, abs=1e-5)


def test_photos_are_decoded_together(drawn: Path, tmp_path: Path, team: Team) -> None:
    spec = PreprocessSpec(size=SIZE, crop_pct=1.0, interpolation="bicubic")
    alone = load_photos(one_job(drawn, tmp_path / "one"), spec)
    shared = load_photos(replace(one_job(drawn, tmp_path / "two"), team=team), spec)
    every = np.arange(len(alone.train))
    assert np.array_equal(alone.train.take(every), shared.train.take(every))
    assert len(list((tmp_path / "two/cache/pixels").iterdir())) == 1


def test_batch_norms_that_learn_are_refused(drawn: Path, tmp_path: Path) -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.Flatten())
    config = one_job(drawn, tmp_path).config
    task = FitTask(
        config=config,
        network=network,
        groups=optimizers.groups(network.parameters(), config.optim),
        photos=photos(),
        plan=plan(average=False),
    )
    with pytest.raises(UsageError, match="batch norms learn from a batch's photos"):
        run_fit(task, Team(Placement(world=2)))
