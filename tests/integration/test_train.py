"""``animals train`` with the recipe probe, as a person meets it: what comes out, and what is said where nothing can."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from animal_classification import bundle as bundles
from animal_classification.cli import main as frame
from animal_classification.cli.main import main
from animal_classification.config.compose import compose
from animal_classification.evaluation import model_outputs
from animal_classification.inference import Classifier
from animal_classification.inference.reference import read_arrays
from animal_classification.tracking.tracker import NoTracker
from animal_classification.training import heldout_metrics
from animal_classification.training.recipe import RecipeInputs, TrainedModel
from animal_classification.training.train import train
from tests.support import colour_recipe
from tests.support.predicting import start
from tests.support.tiny_bundle import write_tiny_bundle

COLOURS = {"cat": (200, 30, 30), "dog": (30, 200, 30), "lion": (30, 30, 200)}


class Run:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


Animals = Callable[..., Run]


@pytest.fixture(scope="session")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("backbone") / "tiny", names=("red", "green", "blue"))


@pytest.fixture
def words(tmp_path: Path, backbone: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return [f"backbone.bundle={backbone}", f"output={tmp_path / 'runs'}", "tracking=csv"]


@pytest.fixture
def animals(words: list[str], capsys: pytest.CaptureFixture[str]) -> Animals:
    def run(*more: str | Path) -> Run:
        capsys.readouterr()
        code = frame.main(["train", *words, *map(str, more)])
        out, err = capsys.readouterr()
        return Run(code, out, err)

    return run


def draw(folder: Path, counts: dict[str, int], colours: dict[str, tuple[int, int, int]] | None = None) -> Path:
    """Photos in shades of a class's colour, no two alike."""
    for number, (name, count) in enumerate(counts.items()):
        (folder / name).mkdir(parents=True)
        colour = (colours or COLOURS).get(name, (20 + number * 37 % 200, number * 91 % 230, number * 53 % 210))
        for index in range(count):
            noise = np.random.default_rng(number * 1000 + index).integers(-30, 30, (12, 12, 3))
            pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).resize((48, 48), Image.Resampling.BICUBIC).save(folder / name / f"{index}.png")
    return folder


def test_a_model_comes_out_and_names_photos(animals: Animals, tmp_path: Path) -> None:
    photos = draw(tmp_path / "photos", dict.fromkeys(COLOURS, 20))
    result = animals(f"data.path={photos}", "--json")
    assert result.code == 0, result.err
    said = json.loads(result.out)
    assert said["accuracy"] == 1.0
    assert said["photos"] == 12
    assert said["seconds"] > 0
    assert said["answered_right"] == said["metrics"]["test/answered_right"] <= 1.0
    assert said["answered_right_interval"][0] < said["answered_right"], "twelve photos prove little"
    assert main(["report", "check", str(Path(said["bundle"]) / "README.md"), "-q"]) == 0
    bundle = bundles.load(said["bundle"])
    assert bundle.info.metrics["accuracy"] == 1.0
    assert bundle.info.config["data"]["path"] == str(photos)
    assert (bundle.info.data.n_train, bundle.info.data.n_test) == (48, 12), "val is learned from as well"
    assert read_arrays(bundle)["embedding"].shape == (48, 3)
    assert bundle.card().startswith("---\n")
    classifier = Classifier.load(said["bundle"])
    answer = classifier.predict(photos / "lion" / "3.png")
    assert (answer.label, answer.label_id) == ("lion", "lion")
    assert classifier.heatmap(photos / "lion" / "3.png").shape == (32, 32, 3)
    assert json.loads((Path(said["run"]) / "run.json").read_text())["state"] == "finished"


def test_wide_photos_are_measured_as_they_are_served(
    animals: Animals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the recipe has computed of them by itself may not be what predictions look at."""
    photos, stretched = draw(tmp_path / "photos", dict.fromkeys(COLOURS, 20)), set()
    for file in sorted(photos.glob("*/*.png"))[::3]:
        with Image.open(file) as picture:
            wide = picture.resize((120, 60))
        wide.save(file)
        stretched.add(file)
    served: list[Path] = []
    compute = model_outputs.compute_outputs

    def noted(bundle: bundles.Bundle, files: Sequence[Path], **more: Any) -> model_outputs.Outputs:
        served.extend(files)
        return compute(bundle, files, **more)

    monkeypatch.setattr(heldout_metrics, "compute_outputs", noted)
    result = animals(f"data.path={photos}", "--json")
    assert result.code == 0, result.err
    said = json.loads(result.out)
    assert said["photos"] == 12
    assert 0 < len(served) < 12
    assert set(served) <= stretched
    assert main(["report", "check", str(Path(said["bundle"]) / "README.md"), "-q"]) == 0


def test_a_person_reads_where_it_is_and_how_good(animals: Animals, tmp_path: Path) -> None:
    result = animals(f"data.path={draw(tmp_path / 'photos', dict.fromkeys(COLOURS, 10))}")
    assert "on 6 photos that it has not seen" in result.out
    assert re.search(r"answered  [01]\.\d{3} \(\S+ to \S+\) are told right; \d+\.\d% are wrongly called", result.out)
    assert "animals predict PHOTOS --model" in result.out


def test_the_same_again_gives_the_same_weights(animals: Animals, tmp_path: Path) -> None:
    photos = draw(tmp_path / "photos", dict.fromkeys(COLOURS, 15))
    found = []
    for cache in ("one", "two"):  # the second knows no embedding of the first
        result = animals(f"data.path={photos}", f"data.cache={tmp_path / cache}", f"name={cache}", "--json")
        found.append((Path(json.loads(result.out)["bundle"]) / "model.onnx").read_bytes())
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("counts", "accuracy"),
    [
        ({"cat": 2, "dog": 2}, True),
        ({"cat": 1, "dog": 1}, False),
        ({"a|b, c: 100%": 6, "Ünï 🦊": 6, "--help": 6, "q'\"x": 6}, True),
        ({"cat": 40, "dog": 3}, True),
    ],
)
def test_odd_data_give_a_model(animals: Animals, tmp_path: Path, counts: dict[str, int], accuracy: bool) -> None:
    photos = draw(tmp_path / "photos", counts)
    result = animals(f"data.path={photos}", "--json")
    assert result.code == 0, result.err
    said = json.loads(result.out)
    assert (said["accuracy"] is not None) == accuracy
    assert bundles.load(said["bundle"]).info.labels


def test_mirrored_photos_may_be_learned_from(animals: Animals, tmp_path: Path) -> None:
    photos = draw(tmp_path / "photos", dict.fromkeys(COLOURS, 8))
    said = json.loads(animals(f"data.path={photos}", "recipe.flips=true", "--json").out)
    bundle = bundles.load(said["bundle"])
    assert len(read_arrays(bundle)["label"]) == 2 * 19
    assert bundle.info.data.n_train == 19, "photos, not views of them"


def test_two_hundred_classes_of_five(animals: Animals, tmp_path: Path) -> None:
    photos = draw(tmp_path / "photos", {f"animal {number:03}": 5 for number in range(200)})
    result = animals(f"data.path={photos}", "--json")
    assert result.code == 0, result.err
    assert json.loads(result.out)["photos"] == 200


def test_no_test_photos(animals: Animals, tmp_path: Path) -> None:
    result = animals(f"data.path={draw(tmp_path / 'photos', {'cat': 5, 'dog': 5})}", "data.test=0", "data.val=0")
    assert result.code == 0
    assert "not known: there is no test photo" in result.out


def test_an_empty_class_and_broken_photos_are_told(animals: Animals, tmp_path: Path) -> None:
    photos = draw(tmp_path / "photos", {"cat": 8, "dog": 8, "lion": 0})
    (photos / "cat" / "0.png").write_bytes(b"no photo")
    result = animals(f"data.path={photos}")
    assert result.code == 0
    assert "1 of 16 photos cannot be used" in result.err
    assert "lion" not in [label.name for label in bundles.load(next(tmp_path.glob("runs/*/bundle"))).info.labels]


@pytest.mark.parametrize(
    ("counts", "message"),
    [({"cat": 5}, "only one class"), ({"cat": 0, "dog": 0}, "no"), ({}, "no")],
)
def test_what_nothing_can_be_learned_from_is_one_line(
    animals: Animals, tmp_path: Path, counts: dict[str, int], message: str
) -> None:
    (tmp_path / "photos").mkdir()
    result = animals(f"data.path={draw(tmp_path / 'photos', counts)}")
    assert result.code == 2
    assert result.err.count("\n") == 1
    assert message in result.err
    assert not list(tmp_path.glob("runs/*"))


def test_the_crop_that_was_asked_for_is_what_the_model_keeps(animals: Animals, tmp_path: Path) -> None:
    photos = draw(tmp_path / "photos", dict.fromkeys(COLOURS, 5))
    said = json.loads(animals(f"data.path={photos}", "backbone.crop=0.8", "--json").out)
    assert bundles.load(said["bundle"]).info.preprocess.crop_pct == 0.8


@pytest.mark.parametrize(
    ("word", "told"),
    [("backbone=lite2", "timm is 'tf_efficientnet_lite2'"), ("backbone.weights=mine.pt", "weights is 'mine.pt'")],
)
def test_a_network_that_only_fine_tuning_can_use_is_refused(
    animals: Animals, tmp_path: Path, word: str, told: str
) -> None:
    photos = draw(tmp_path / "photos", {"cat": 5, "dog": 5})
    result = animals(f"data.path={photos}", word, "backbone.bundle=photos")
    assert result.code == 2
    assert result.err.count("\n") == 1
    assert f"backbone.{told}" in result.err
    assert "recipe=finetune" in result.err


def test_a_bundle_of_ones_own_may_stand_beside_a_network_for_fine_tuning(animals: Animals, tmp_path: Path) -> None:
    photos = draw(tmp_path / "photos", {"cat": 5, "dog": 5})
    assert animals(f"data.path={photos}", "backbone.timm=resnet18").code == 0


def test_photos_that_vanish_are_left_out_or_told(tmp_path: Path, words: list[str]) -> None:
    photos = draw(tmp_path / "photos", dict.fromkeys(COLOURS, 10))
    gone = []

    def progress(what: str, done: int, total: int) -> None:
        for file in sorted(photos.glob("*/1.png")) if what == "measuring" else ():
            file.unlink()
            gone.append(file)

    result = train(compose([*words, f"data.path={photos}"]), progress=progress)
    assert len(gone) == 3
    assert result.accuracy == 1.0


def test_what_the_test_says_follows_after_the_last_step(
    tmp_path: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever epoch was kept: W&B drops a step that goes back."""
    steps: dict[str, int] = {}

    class Listener(NoTracker):
        def log_metrics(self, values: Mapping[str, float], *, step: int) -> None:
            steps.update(dict.fromkeys(values, step))

        def log_image(self, name: str, png: bytes, *, step: int) -> None:
            steps[name] = step

    def recipe(job: RecipeInputs) -> TrainedModel:
        for step in (1, 2, 3):
            job.tracker.log_metrics({"val/loss": 1.0}, step=step)
        return replace(colour_recipe.train(job), metrics={"epoch": 1.0}, last_step=3)

    monkeypatch.setattr("animal_classification.training.train.find_recipe", lambda name: recipe)
    photos = draw(tmp_path / "photos", dict.fromkeys(COLOURS, 10))
    train(compose([*words, f"data.path={photos}"]), listeners=[Listener()])
    assert {steps[name] for name in ("val/loss", "test/accuracy", "test/confusion", "test/examples")} == {3}


def test_what_a_listener_raises_ends_the_run_and_the_next_goes_on(tmp_path: Path, words: list[str]) -> None:
    class Impatient(NoTracker):
        def log_metrics(self, values: Mapping[str, float], *, step: int) -> None:
            raise RuntimeError("enough")

    config = compose([*words, f"data.path={draw(tmp_path / 'photos', dict.fromkeys(COLOURS, 5))}"])
    with pytest.raises(RuntimeError, match="enough"):
        train(config, listeners=[Impatient()])
    assert train(config).resumed


def test_a_folder_that_cannot_be_written_is_one_line(animals: Animals, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    photos = draw(tmp_path / "photos", {"cat": 5, "dog": 5})
    result = animals(f"data.path={photos}", f"output={tmp_path / 'file'}")
    assert result.code == 1
    assert "choose another output=" in result.err
    assert result.err.count("\n") == 1


@pytest.mark.photos(samples=True)
@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT"])
def test_a_killed_run_goes_on(tmp_path: Path, words: list[str], name: str, photos_dir: Path) -> None:
    words = [*words[1:], f"data.path={photos_dir / 'animals22'}"]
    process = start("train", *words, cwd=tmp_path, start_new_session=True)
    deadline = time.monotonic() + 60
    database = tmp_path / "cache" / "animals" / "data" / "embeddings-1.sqlite-wal"
    while not (database.exists() and database.stat().st_size > 100_000):
        assert time.monotonic() < deadline
        assert process.poll() is None
    os.kill(process.pid, getattr(signal, name))
    _, err = process.communicate(timeout=60)
    assert process.returncode == (130 if name == "SIGINT" else -9)
    assert err.decode().count("\n") <= 1
    assert not list(tmp_path.glob("runs/*/bundle"))
