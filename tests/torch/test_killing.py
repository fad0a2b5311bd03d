"""Issue 3: kill -9 at any moment, the same command again, and the weights are those of an undisturbed run."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper

pytest.importorskip("torch")
pytest.importorskip("timm")
from tests.torch.drawn import draw_photos, words
from tests.torch.forks import Forks

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
KILLS = 10
LAYERS = (
    # Without val nothing lets the head alone pass, so that the weights tell what was learned.
    *("recipe=finetune", "data.val=0", "backbone=photos", "backbone.size=32", "recipe.epochs=2"),
    *("recipe.batch_size=2", "trainer.checkpoint_every=0.0001", "trainer.patience=0", "trainer.threads=1"),
)
SLOW_ENOUGH = ("recipe.epochs=15", "recipe.batch_size=2", "trainer.checkpoint_every=0.0001", "trainer.patience=0")


@pytest.fixture
def forks(tmp_path: Path) -> Iterator[Forks]:
    made = Forks(tmp_path / "log.txt")
    yield made
    made.close()


def test_ten_kills_change_nothing(tmp_path: Path, forks: Forks) -> None:
    photos = draw_photos(tmp_path / "photos", each=12)
    calm, shaken = tmp_path / "calm", tmp_path / "shaken"
    command = ["train", *words(photos, calm, *SLOW_ENOUGH)]
    forks.start(command)
    assert forks.wait() == 0, (tmp_path / "log.txt").read_text()

    command = ["train", *words(photos, shaken, *SLOW_ENOUGH)]
    moments = random.Random(3)
    for _ in range(KILLS):
        process = forks.start(command)
        await_checkpoints(shaken, moments.randint(1, 8))
        time_passes(moments.random() * 0.02)  # into the middle of a step, or of writing a checkpoint
        os.kill(process, signal.SIGKILL)
        assert forks.wait() == -signal.SIGKILL, (tmp_path / "log.txt").read_text()
    forks.start(command)
    assert forks.wait() == 0, (tmp_path / "log.txt").read_text()

    assert len(list(shaken.glob("photos-*"))) == 1
    assert weights(shaken) == weights(calm)
    assert facts(shaken)["calibration"] == facts(calm)["calibration"]
    assert facts(shaken)["metrics"] == facts(calm)["metrics"]


@pytest.mark.nightly
def test_fine_tuning_goes_on_within_an_epoch(tmp_path: Path, forks: Forks) -> None:
    photos = draw_photos(tmp_path / "photos", each=8)
    calm, shaken = tmp_path / "calm", tmp_path / "shaken"
    cache = f"data.cache={tmp_path / 'cache'}"
    common = ["data=folder", f"data.path={photos}", cache, "tracking=none"]
    forks.start(["train", *LAYERS, *common, f"output={calm}"])
    assert forks.wait() == 0, (tmp_path / "log.txt").read_text()

    command = ["train", *LAYERS, *common, f"output={shaken}"]
    for checkpoints in (1, 6, 11):  # after the activations are kept, and within the first two epochs
        process = forks.start(command)
        await_checkpoints(shaken, checkpoints)
        os.kill(process, signal.SIGKILL)
        assert forks.wait() == -signal.SIGKILL, (tmp_path / "log.txt").read_text()
    assert list(shaken.glob("*/checkpoints/tune.ckpt"))
    forks.start(command)
    assert forks.wait() == 0, (tmp_path / "log.txt").read_text()

    assert len(list(shaken.glob("photos-*"))) == 1
    assert weights(shaken) == weights(calm)
    assert facts(shaken)["calibration"] == facts(calm)["calibration"]


def await_checkpoints(output: Path, count: int) -> None:
    """Wait until so many more checkpoints are on the disk."""
    deadline, seen = time.monotonic() + 60, identity(output)
    while count:
        assert time.monotonic() < deadline, "no progress"
        now = identity(output)
        if now != seen:
            seen, count = now, count - 1
        time.sleep(0.0005)  # between two looks


def identity(output: Path) -> tuple[int, int] | None:
    """Of what was written last."""
    found = []
    for path in output.glob("photos-*/checkpoints/[!.]*"):
        with suppress(FileNotFoundError):
            found.append(path.stat())
    return max(((file.st_mtime_ns, file.st_ino) for file in found), default=None)


def time_passes(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def weights(output: Path) -> dict[str, bytes]:
    (path,) = output.glob("photos-*/bundle/model.onnx")
    return {tensor.name: numpy_helper.to_array(tensor).tobytes() for tensor in onnx.load(path).graph.initializer}


def facts(output: Path) -> dict[str, dict[str, float]]:
    (path,) = output.glob("photos-*/bundle/bundle.json")
    found: dict[str, dict[str, float]] = json.loads(path.read_text())
    return found
