"""Issue 3: kill -9 at any moment, the same command again, and the weights are those of an undisturbed run."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper

pytest.importorskip("torch")
from tests.torch.drawn import draw_photos, words
from tests.torch.forks import Forks

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
KILLS = 10
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

    assert len(list(shaken.glob("photos-cnn-*"))) == 1
    assert weights(shaken) == weights(calm)
    assert facts(shaken)["calibration"] == facts(calm)["calibration"]
    assert facts(shaken)["metrics"] == facts(calm)["metrics"]


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
    for path in output.glob("photos-cnn-*/checkpoints/fit.ckpt"):
        try:
            found = path.stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns
    return None


def time_passes(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def weights(output: Path) -> dict[str, bytes]:
    (path,) = output.glob("photos-cnn-*/bundle/model.onnx")
    return {tensor.name: numpy_helper.to_array(tensor).tobytes() for tensor in onnx.load(path).graph.initializer}


def facts(output: Path) -> dict[str, dict[str, float]]:
    (path,) = output.glob("photos-cnn-*/bundle/bundle.json")
    found: dict[str, dict[str, float]] = json.loads(path.read_text())
    return found
