"""``animals sweep`` as a process: killed, and on PostgreSQL by several at once; exactly as many trials as asked for."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from PIL import Image

from animal_classification.config.compose import tree
from animal_classification.config.schema import Config
from animal_classification.sweep.runner import plan, run_sweep
from animal_classification.sweep.storage import StorageError
from animal_classification.tracking.tracker import Tracker
from animal_classification.training.prepare_data import data_version
from animal_classification.training.train import train
from tests.support.databases import Postgres
from tests.support.predicting import run, start, wait_until
from tests.support.tiny_bundle import write_tiny_bundle

pytest.importorskip("optuna")
COLOURS = {"cat": (200, 90, 90), "dog": (90, 200, 90), "lion": (90, 90, 200)}
SPACE = "sweep.space={recipe.folds: {low: 2, high: 20}, recipe.flips: {values: [false, true]}}"
TRIALS = 20


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve noisy pictures of each of three colours."""
    folder = tmp_path_factory.mktemp("photos")
    generator = np.random.default_rng(0)
    for label, colour in COLOURS.items():
        (folder / label).mkdir()
        for number in range(12):
            noise = generator.normal(0, 80, (32, 32, 3))
            picture = Image.fromarray(np.clip(noise + colour, 0, 255).astype(np.uint8))
            picture.save(folder / label / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def data(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The photos, a cache that all trials share, and a backbone that takes no time."""
    folder = tmp_path_factory.mktemp("shared")
    backbone = write_tiny_bundle(folder / "backbone")
    return [f"data.path={photos}", f"data.cache={folder / 'cache'}", f"backbone.bundle={backbone}"]


def count(database: Path, state: str) -> int:
    """Trials of that state, as the file says."""
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as file:
        found = file.execute("SELECT count(*) FROM trials WHERE state = ?", [state]).fetchone()
        return int(found[0])
    return 0


def kill(words: list[Any], database: Path, trials: int, seconds: float) -> None:
    """Start a sweep, and kill it so long after so many trials are done."""
    with start(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: count(database, "COMPLETE") >= trials or process.poll() is not None)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=seconds)
        process.kill()
    assert process.returncode == -signal.SIGKILL


def test_killed_twice_it_ends_with_exactly_as_many_trials(data: list[str], tmp_path: Path) -> None:
    seed = random.randrange(10**6)
    print(f"seed of the moments: {seed}")
    moments = random.Random(seed)
    words: list[Any] = ["sweep", *data, f"output={tmp_path}", SPACE]
    words += ["sweep.study=study", f"sweep.trials={TRIALS}", "sweep.sampler=random", "recipe=probe"]
    database = tmp_path / "study" / "study.db"
    for most in (8, 16):
        # Somewhere within a trial, or between two.
        wanted = moments.randint(count(database, "COMPLETE") + 1, most)
        kill(words, database, wanted, moments.random() / 2)
    done = run(*words, "--json")
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads(done.stdout)
    assert found["finished"] == found["asked"] == TRIALS
    assert count(database, "COMPLETE") + count(database, "PRUNED") == TRIALS
    assert count(database, "RUNNING") == count(database, "WAITING") == 0
    assert 0 <= count(database, "FAIL") <= 2
    assert (Path(found["bundle"]) / "bundle.json").is_file()
    assert Path(found["page"]).is_file()
    again = json.loads(run(*words, "--json").stdout)
    assert again["best"] == found["best"]
    assert not list((tmp_path / "study" / "workers").iterdir())


def test_a_students_file_runs_as_it_is(data: list[str], tmp_path: Path) -> None:
    """With the one parameter that the probe has; those of the network need PyTorch."""
    (tmp_path / "sweep.yaml").write_text(
        "program: train.py\nmethod: random\nmetric: {name: validation_loss, goal: minimize}\nrun_cap: 2\n"
        "parameters:\n  folds: {min: 2, max: 9}\n  balance: {values: [true, false]}\n"
    )
    done = run("sweep", "sweep.yaml", *data, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    errors = done.stderr.decode().splitlines()
    assert errors[0] == "animals: sweep.yaml: program not used; trials run in this process"
    assert "2 of 2 trials finished, 0 of them pruned" in errors[-2]
    best = Path(errors[-1].rpartition(": ")[2])
    assert (tmp_path / best / "bundle.json").is_file()
    head, *rows = done.stdout.decode().splitlines()
    assert head.split() == ["trial", "val/loss", "recipe.folds", "recipe.balance"]
    assert len(rows) == 2


def test_a_wrong_call_is_one_line() -> None:
    for words, line in (
        (["sweep.trial=3"], "no such setting 'sweep.trial'; did you mean 'sweep.trials'?"),
        (["nope.yaml"], "cannot read 'nope.yaml': No such file or directory"),
    ):
        done = run("sweep", *words)
        assert (done.returncode, done.stdout) == (2, b"")
        assert done.stderr.decode() == f"animals: {line}\n"


# ---------------------------------------------------------------------------------------------------------- PostgreSQL


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    """A database of its own, which takes half a second."""
    postgres = Postgres()
    try:
        postgres.start()
        yield postgres
    finally:
        postgres.close()


def test_machines_share_a_study_on_postgresql(postgres: Postgres, data: list[str], tmp_path: Path) -> None:
    """Two processes that share nothing but the database, where a third has done a trial before."""
    words = [*data, SPACE, f"sweep.storage={postgres.url}", "sweep.study=shared"]
    words += ["sweep.trials=6", "sweep.sampler=random"]
    first = tree([*words, "sweep.trials=1", f"output={tmp_path / 'first'}"]).config
    run_sweep(plan(first, version_of=lambda config: data_version(config, lambda *_: None)), train)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    one, other = (start("sweep", *words, f"output={tmp_path / name}", **quiet) for name in "ab")
    errors = [process.communicate(timeout=60)[1].decode() for process in (one, other)]
    assert [one.returncode, other.returncode] == [0, 0], errors
    done = run("sweep", *words, f"output={tmp_path / 'a'}", "--json")
    found = json.loads(done.stdout)
    assert (found["asked"], found["finished"]) == (6, 6)
    assert {Path(row["bundle"]).relative_to(tmp_path).parts[0] for row in found["best"]} <= {"first", "a", "b"}


def test_a_database_that_goes_away_is_one_line(postgres: Postgres, data: list[str], tmp_path: Path) -> None:
    def fail(config: Config, *, listeners: Sequence[Tracker]) -> NoReturn:
        postgres.stop(signal.SIGQUIT)
        listeners[0].log_metrics({"val/loss": 1.0}, step=1)
        raise AssertionError("it wrote to a database that is not there")

    sweep = plan(tree([*data, f"sweep.storage={postgres.url}", f"output={tmp_path}"]).config)
    with pytest.raises(StorageError, match=r"postgresql.*was lost: .*; start again to go on") as caught:
        run_sweep(sweep, fail)
    assert "\n" not in str(caught.value)
