"""Several processes compute what one would, and end together."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

torch = pytest.importorskip("torch")
from animal_classification.errors import AnimalsError
from animal_classification.imaging import PreprocessSpec
from animal_classification.training.neural import optimizers
from animal_classification.training.neural.augmentation import Mixing, augment
from animal_classification.training.neural.cnn import load_photos
from animal_classification.training.neural.fit import fit
from animal_classification.training.neural.fit_plan import FitPhotos, FitPlan
from animal_classification.training.neural.leader import leading
from animal_classification.training.neural.network import AnimalClassificationCNN
from animal_classification.training.neural.team import Team
from animal_classification.training.recipe import RecipeInputs
from tests.torch.drawn import LIGHT, draw_photos, make_job, words

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


def fitted_until_one_is_killed(job: RecipeInputs, how: FitPlan) -> None:
    with leading(job.config.trainer) as two:

        def killing(title: str, position: int, _: int) -> None:
            if (title, position) == ("epoch 2 of 4", 3):
                two.helpers[0].process.kill()

        fitted(replace(job, team=two, progress=killing), how)


def test_a_killed_process_ends_the_fit_and_one_alone_goes_on(drawn: Path, tmp_path: Path) -> None:
    how = plan(mix=Mixing(0.4, 0.0))
    calm, _ = fitted(one_job(drawn, tmp_path / "calm"), how)
    job = one_job(drawn, tmp_path / "shaken", "trainer.devices=2", "trainer.checkpoint_every=0.0001")
    said = "training stopped: process 1 ended by signal 9; give the same command again"
    with pytest.raises(AnimalsError, match=said):
        fitted_until_one_is_killed(job, how)
    alone, found = fitted(job, how)  # from within the second epoch
    assert found.epochs == 4
    assert distance(calm, alone) < 1e-5


def test_photos_are_decoded_together(drawn: Path, tmp_path: Path, team: Team) -> None:
    spec = PreprocessSpec(size=SIZE, crop_pct=1.0, interpolation="bicubic")
    alone = load_photos(one_job(drawn, tmp_path / "one"), spec)
    shared = load_photos(replace(one_job(drawn, tmp_path / "two"), team=team), spec)
    every = np.arange(len(alone.train))
    assert np.array_equal(alone.train.take(every), shared.train.take(every))
    assert len(list((tmp_path / "two/cache/pixels").iterdir())) == 1


def command(drawn: Path, output: Path, *more: str) -> list[str]:
    slow = ("recipe.epochs=30", "recipe.batch_size=4", "trainer.checkpoint_every=0.0001", "trainer.patience=0")
    return [sys.executable, "-m", "animal_classification.cli", "train", *words(drawn, output, *slow, *more), "--json"]


def start(words_: list[str], **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        words_, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **variables}
    )


def awaited(what: Callable[[], Any], seconds: float = 120) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.01)
    raise AssertionError("it did not happen in time")


def helpers_of(process: int) -> list[int]:
    """Processes that it has started."""
    text = Path(f"/proc/{process}/task/{process}/children").read_text()
    found = [int(word) for word in text.split()]
    return [one for one in found if b"neural.follower" in Path(f"/proc/{one}/cmdline").read_bytes()]


def weights(bundle: str) -> dict[str, Any]:
    graph = onnx.load(Path(bundle) / "model.onnx").graph
    return {tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy()) for tensor in graph.initializer}


def finished(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    document: dict[str, Any] = json.loads(out)
    return document


@pytest.mark.nightly
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux's /proc")
def test_a_killed_process_ends_all_and_the_same_command_goes_on(drawn: Path, tmp_path: Path) -> None:
    calm = finished(start(command(drawn, tmp_path / "calm")))
    output = tmp_path / "shaken"
    running = start(command(drawn, output, "trainer.devices=2"))
    awaited(lambda: list(output.glob("photos-*/checkpoints/fit.ckpt")))
    helper = awaited(lambda: helpers_of(running.pid))[0]
    os.kill(helper, signal.SIGKILL)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 1
    assert err.strip().splitlines()[-1] == (
        "animals: training stopped: process 1 ended by signal 9; give the same command again, and it goes on from the "
        "last checkpoint"
    )
    # A leader that is killed takes the others with it.
    running = start(command(drawn, output, "trainer.devices=2"))
    helper = awaited(lambda: helpers_of(running.pid))[0]
    os.kill(running.pid, signal.SIGKILL)
    running.communicate()
    awaited(lambda: not Path(f"/proc/{helper}").exists() or b"Z" in Path(f"/proc/{helper}/stat").read_bytes())
    # And as many processes as one likes go on.
    resumed = finished(start(command(drawn, output)))
    assert resumed["resumed"]
    assert distance(weights(calm["bundle"]), weights(resumed["bundle"])) < 1e-3
    assert calm["accuracy"] == resumed["accuracy"]


@pytest.mark.nightly
def test_two_machines_run_the_same_command(drawn: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    words_ = command(drawn, tmp_path / "runs", "trainer.nodes=2", "recipe.epochs=3")
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    second = start(words_, NODE_RANK="1", **where)
    first = start(words_, NODE_RANK="0", **where)
    assert finished(first)["accuracy"] >= 0
    out, err = second.communicate(timeout=60)
    assert (second.returncode, out, err) == (0, "", "")


@pytest.mark.nightly
@pytest.mark.parametrize(
    "recipe",
    [
        pytest.param(("recipe.epochs=6", "recipe.lr=0.01"), id="cnn"),
        pytest.param(("recipe=finetune", "backbone.size=32", "recipe.epochs=2", "data.val=0"), id="finetune"),
    ],
)
def test_a_recipe_reaches_the_same_accuracy(drawn: Path, tmp_path: Path, recipe: tuple[str, ...]) -> None:
    common = (f"data.path={drawn}", "data=folder", "tracking=none", "trainer.threads=2")
    words_ = list(words(drawn, tmp_path)[: len(LIGHT)]) if "recipe=finetune" not in recipe else []
    found = []
    for devices in (1, 2):
        output = tmp_path / str(devices)
        more = (f"output={output}", f"data.cache={output / 'cache'}", f"trainer.devices={devices}")
        start_ = [sys.executable, "-m", "animal_classification.cli", "train", *words_, *common, *recipe, *more]
        found.append(finished(start([*start_, "--json"])))
    assert found[0]["accuracy"] == found[1]["accuracy"]
    assert found[0]["metrics"]["test/loss"] == pytest.approx(found[1]["metrics"]["test/loss"], abs=1e-3)
