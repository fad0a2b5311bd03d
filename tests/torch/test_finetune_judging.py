"""What `finetune` asks of val, how often, and at which step its last numbers stand."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("timm")

from animal_classification import bundle as bundles
from animal_classification.config.compose import compose
from animal_classification.evaluation.calibration import fit_temperature
from animal_classification.evaluation.fit_postprocessing import HeldOut
from animal_classification.tracking.tracker import NoTracker
from animal_classification.training.neural.finetune import cross_fitting, recipe
from animal_classification.training.neural.finetune import layer_training as layers
from animal_classification.training.neural.finetune.layer_training import FitState, Schedule
from animal_classification.training.neural.image_cache import Images
from animal_classification.training.neural.network_outputs import answers, spread
from animal_classification.training.recipe import RecipeInputs, TrainedModel
from animal_classification.training.train import Result, train
from tests.torch.drawn import draw_photos, words


class Steps(NoTracker):
    """The last step of every number and picture."""

    def __init__(self) -> None:
        self.last: dict[str, int] = {}

    def log_metrics(self, values: Mapping[str, float], *, step: int) -> None:
        self.last.update(dict.fromkeys(values, step))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_photos(tmp_path_factory.mktemp("drawn") / "photos", each=10, side=70)


def run(*words: str) -> tuple[Result, Steps]:
    steps = Steps()
    return train(compose(words), listeners=[steps]), steps


TUNING = (
    "recipe=finetune",
    "recipe.epochs=2",
    "recipe.batch_size=8",
    "backbone=photos",
    "backbone.size=64",
    "trainer.threads=1",
)


@pytest.mark.parametrize("kept", [True, False])
def test_val_is_judged_once_for_each_state_of_the_weights(
    kept: bool, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(recipe, "_clearly_better", lambda before, after: kept)

    def counted(network: Any, pixels: Images, indices: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        asked.append(len(indices))
        return answers(network, pixels, indices)

    monkeypatch.setattr(recipe, "answers", counted)
    result, steps = run(
        *TUNING, "tracking=none", f"data.path={photos}", f"data.cache={tmp_path / 'cache'}", f"output={tmp_path}"
    )
    data = bundles.load(result.bundle).info.data
    assert (data.n_train, data.n_test) == (24, 6), "after the refit val is learned from as well"
    val = 3
    assert asked == [val, val, 24], "val before and after, all for the reference"
    assert (steps.last["train/loss"] > 2) == kept, "after the refit, which counts on; halves are told to nobody"
    assert steps.last["test/accuracy"] == steps.last["train/loss"]


@pytest.fixture
def held_out(monkeypatch: pytest.MonkeyPatch) -> list[HeldOut]:
    """What the recipe hands on."""
    found: list[HeldOut] = []
    trained = recipe._trained

    def seen(job: RecipeInputs, stand: FitState, tuned: recipe.FinetuneResult, held_out: HeldOut) -> TrainedModel:
        found.append(held_out)
        return trained(job, stand, tuned, held_out)

    monkeypatch.setattr(recipe, "_trained", seen)
    return found


@pytest.mark.parametrize("words", [(), ("recipe.refit=false",), ("data.val=0",)], ids=["refit", "none", "no val"])
@pytest.mark.parametrize("kept", [True, False])
def test_rules_come_from_every_photo_that_was_learned_from_each_by_networks_that_had_not(
    kept: bool,
    words: tuple[str, ...],
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    held_out: list[HeldOut],
) -> None:
    """Eight times the photos that val has: a threshold from 150 refuses now 2 and now 8 of a hundred."""
    monkeypatch.setattr(recipe, "_clearly_better", lambda before, after: kept)
    fits: list[tuple[int, set[str]]] = []

    def fit_layers(job: RecipeInputs, config: Any, stand: FitState, schedule: Schedule) -> Any:
        fits.append((schedule.epochs, {row.path for row in stand.learned.rows}))
        return layers.fit_layers(job, config, stand, schedule)

    for module in (recipe, cross_fitting):
        monkeypatch.setattr(module, "fit_layers", fit_layers)
    folders = (f"data.path={photos}", f"data.cache={tmp_path / 'cache'}", f"output={tmp_path}")
    result, _ = run(*TUNING, "tracking=none", *folders, *words)
    learned = 21 if words == ("recipe.refit=false",) else 24
    (found,) = held_out
    assert len(found.targets) == learned
    assert found.observations == learned
    halves = [paths for _, paths in fits if len(paths) <= learned // 2 + 1]
    if kept or words == ("data.val=0",):
        assert len(halves) == 2
        assert not halves[0] & halves[1]
        assert len(halves[0] | halves[1]) == learned
    else:
        assert not halves, "the head's own folds are enough"
    assert (found.distance is None) == (not kept)
    assert (found.folds is None) == kept
    info = bundles.load(result.bundle).info
    assert info.metrics["held_out"] == learned
    assert info.metrics["epoch"] == (0 if not kept else info.metrics["epoch"])
    assert 0 < info.metrics["val/accuracy"] <= 1
    assert info.calibration.temperature == fit_temperature(found.logits, found.targets)


def test_without_val_layers_are_kept_only_where_each_half_helps_the_other(photos: Path, tmp_path: Path) -> None:
    """They were always kept, for as many epochs as were asked for: 0.938 where the head alone had 1.0."""
    folders = (f"data.path={photos}", f"data.cache={tmp_path / 'cache'}", f"output={tmp_path}")
    wild = ("recipe.lr=0.1", "recipe.blend=1", "recipe.mixup=0", "data.val=0")
    result, _ = run(*TUNING, "tracking=none", *folders, *wild)
    assert bundles.load(result.bundle).info.metrics["epoch"] == 0
    assert result.accuracy == 1.0


def test_half_of_the_photos_may_lack_a_class(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One photo of an animal: nothing can be held out of it, and everything else goes on."""
    alone = tmp_path / "more"
    shutil.copytree(photos, alone)
    (alone / "yak").mkdir()
    Image.fromarray(np.full((70, 70, 3), 250, np.uint8)).save(alone / "yak" / "0.png")
    monkeypatch.setattr(recipe, "_clearly_better", lambda before, after: True)
    folders = (f"data.path={alone}", f"data.cache={tmp_path / 'cache'}", f"output={tmp_path}")
    result, _ = run(*TUNING, "tracking=none", *folders)
    assert any("no photo of 1 classes ('yak') could be held out" in note for note in result.notes)


def test_kept_rows_are_taken_in_turns_of_classes() -> None:
    """Evenly spaced, a class of three was missing in most orders of fifty thousand photos."""
    targets = np.zeros(50_000, dtype=np.int64)
    targets[[17, 20_011, 43_003]] = 1
    chosen = spread(targets, 5000)
    assert len(chosen) == 5000
    assert set(np.flatnonzero(targets)) <= set(chosen.tolist())
    assert (np.diff(chosen) > 0).all()
    assert spread(targets[:10]).tolist() == list(range(10))


def test_the_test_numbers_of_a_cnn_stand_at_its_last_epoch(photos: Path, tmp_path: Path) -> None:
    result, steps = run(*words(photos, tmp_path, "recipe.epochs=3"))
    assert bundles.load(result.bundle).info.data.n_train == 21
    assert steps.last["test/accuracy"] == steps.last["val/recall/fox"] == steps.last["train/loss"] == 3
