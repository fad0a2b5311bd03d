"""Two runs of the same words at once: the second says who has it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from animal_classification.cli import main as frame
from animal_classification.config.compose import compose
from animal_classification.errors import OutputError
from animal_classification.training.recipe import RecipeInputs, TrainedModel
from animal_classification.training.run import LOCK
from animal_classification.training.train import train
from tests.integration.test_train import COLOURS, draw
from tests.support import colour_recipe

HOLD = """
import sys, time
from pathlib import Path
from animal_classification.training.run_lock import only_here
with only_here(Path(sys.argv[1]), sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_second_says_who_has_it_and_the_first_is_not_disturbed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    photos = draw(tmp_path / "photos", dict.fromkeys(COLOURS, 6))
    words = [f"data.path={photos}", f"output={tmp_path / 'runs'}", "tracking=none"]
    seen: list[tuple[int, str]] = []

    def recipe(job: RecipeInputs) -> TrainedModel:
        if not seen:  # while this run is at work
            seen.append((frame.main(["train", *words]), capsys.readouterr().err))
        return colour_recipe.train(job)

    monkeypatch.setattr("animal_classification.training.train.find_recipe", lambda name: recipe)
    result = train(compose(words))
    ((code, told),) = seen
    assert code == 1
    assert told.count("\n") == 1
    assert f"{str(result.run)!r} is being trained by process {os.getpid()} on " in told
    assert not (result.run / LOCK).exists(), "it is done: nobody will ask"
    assert not result.resumed
    assert train(compose(words)).run != result.run


def test_a_run_whose_process_is_gone_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However it went: the system lets go of the lock."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    photos = draw(tmp_path / "photos", dict.fromkeys(COLOURS, 6))
    words = [f"data.path={photos}", f"output={tmp_path / 'runs'}", "tracking=none"]

    def broken(job: RecipeInputs) -> TrainedModel:
        raise RuntimeError("as if killed")

    monkeypatch.setattr("animal_classification.training.train.find_recipe", lambda name: broken)
    with pytest.raises(RuntimeError, match="as if killed"):
        train(compose(words))
    (run,) = (tmp_path / "runs").iterdir()
    monkeypatch.setattr("animal_classification.training.train.find_recipe", lambda name: colour_recipe.train)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run), LOCK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(OutputError, match=f"is being trained by process {holder.pid} on"):
            train(compose(words))
        holder.kill()
    assert train(compose(words)).resumed
