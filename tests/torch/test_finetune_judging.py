"""What `finetune` asks of val, how often, and at which step its last numbers stand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch")
pytest.importorskip("timm")

from animal_classification import bundle as bundles
from animal_classification.config.composing import compose
from animal_classification.evaluation.calibration import fit_temperature
from animal_classification.evaluation.rules import HeldOut
from animal_classification.training.neural import finetune
from animal_classification.training.neural.answering import answers
from animal_classification.training.neural.pixels import Pixels
from animal_classification.training.tracking.tracker import NoTracker
from animal_classification.training.training import Result, train
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


@pytest.mark.parametrize("kept", [True, False])
def test_val_is_judged_once_for_each_state_of_the_weights(
    kept: bool, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what is handed on is, bit for bit, what the network says at that moment."""
    asked: list[int] = []
    monkeypatch.setattr(finetune, "_clearly_better", lambda before, after: kept)
    hold_out = finetune._held_out

    def counted(network: Any, pixels: Pixels, indices: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        asked.append(len(indices))
        return answers(network, pixels, indices)

    def checked(stand: finetune.Stand, judgement: finetune.Judgement) -> HeldOut:
        now = answers(stand.learner, stand.photos.val, np.arange(len(stand.photos.val)))
        found = hold_out(stand, judgement)
        assert np.array_equal(found.logits, now["logits"])
        assert np.array_equal(found.embedding, now["embedding"])
        assert judgement.temperature == fit_temperature(now["logits"], stand.photos.val_targets)
        return found

    monkeypatch.setattr(finetune, "answers", counted)
    monkeypatch.setattr(finetune, "_held_out", checked)
    result, steps = run(
        "recipe=finetune",
        "recipe.epochs=2",
        "recipe.batch_size=8",
        "backbone.size=64",
        "trainer.threads=1",
        "tracking=none",
        f"data.path={photos}",
        f"data.cache={tmp_path / 'cache'}",
        f"output={tmp_path}",
    )
    data = bundles.load(result.bundle).info.data
    assert (data.n_train, data.n_test) == (24, 6), "after the refit val is learned from as well"
    val = 3
    assert asked == [val, val, 24 - val, 24], "val before and after, train for the rules, all for the reference"
    assert (steps.last["train/loss"] > 2) == kept, "after the refit, which counts on"
    assert steps.last["test/accuracy"] == steps.last["train/loss"]


def test_the_test_numbers_of_a_cnn_stand_at_its_last_epoch(photos: Path, tmp_path: Path) -> None:
    result, steps = run(*words(photos, tmp_path, "recipe.epochs=3"))
    assert bundles.load(result.bundle).info.data.n_train == 21
    assert steps.last["test/accuracy"] == steps.last["val/recall/fox"] == steps.last["train/loss"] == 3
