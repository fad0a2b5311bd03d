"""Processes that fit a network end together, and what they did is not lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import numpy_helper

torch = pytest.importorskip("torch")
from animal_classification.errors import AnimalsError
from animal_classification.training.neural import leader
from animal_classification.training.neural.augmentation import Mixing
from animal_classification.training.neural.fit_plan import FitPlan
from animal_classification.training.neural.leader import leading
from animal_classification.training.recipe import RecipeInputs
from tests.support.ports import free_port
from tests.torch.drawn import LIGHT, draw_photos, words
from tests.torch.small_fits import distance, fitted, one_job, plan


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_photos(tmp_path_factory.mktemp("drawn") / "photos", each=8)


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


def test_a_process_that_cannot_start_is_not_waited_for(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = one_job(drawn, tmp_path, "trainer.devices=2")
    monkeypatch.setattr(leader, "FOLLOWER", "animal_classification.no_such_module")
    said = "training did not begin: process 1 ended: .*No module named animal_classification.no_such_module"
    with pytest.raises(AnimalsError, match=said), leading(job.config.trainer):
        pass


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
    port = str(free_port())
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
