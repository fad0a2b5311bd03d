"""Issue 3: folders that nobody would wish for, with both recipes of PyTorch: a result or one clear line."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from animal_classification.config.compose import compose
from animal_classification.errors import UsageError
from animal_classification.inference import Classifier
from animal_classification.training.train import TrainResult, train

RECIPES = {
    "cnn": ("recipe=cnn", "recipe.size=16", "recipe.channels=[4,8]", "recipe.hidden=16", "recipe.epochs=2"),
    "finetune": ("recipe=finetune", "backbone=photos", "backbone.size=32", "recipe.epochs=1"),
}
ODD = ("ça va", "=cmd|' A0", 'a,b;c"d', "中文 🐻", "-rf", "x{y}[z]$%", "<b>bold<∕b>")


def draw(folder: Path, count: int, kind: int) -> None:
    """Small photos of one colour."""
    folder.mkdir(parents=True)
    chance = np.random.default_rng(kind)
    colour = np.array([kind * 53, kind * 101, kind * 197]) % 256
    for number in range(count):
        pixels = np.clip(colour + chance.normal(0, 40, (20, 24, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")


def run(recipe: str, photos: Path, output: Path, *more: str) -> TrainResult:
    common = ("data=folder", f"data.path={photos}", f"data.cache={output / 'cache'}", f"output={output}")
    return train(compose([*RECIPES[recipe], *common, "tracking=none", "trainer.threads=1", *more]))


@pytest.mark.parametrize("recipe", RECIPES)
def test_one_class_only(recipe: str, tmp_path: Path) -> None:
    draw(tmp_path / "photos" / "cat", 6, 1)
    with pytest.raises(UsageError, match="there is only one class"):
        run(recipe, tmp_path / "photos", tmp_path)


@pytest.mark.parametrize("recipe", RECIPES)
def test_two_photos_a_class_and_a_class_without_any(recipe: str, tmp_path: Path) -> None:
    for kind, name in enumerate(("ant", "bee", "cow")):
        draw(tmp_path / "photos" / name, 2, kind)
    draw(tmp_path / "photos" / "dodo", 0, 4)
    result = run(recipe, tmp_path / "photos", tmp_path)
    assert result.test_photos == 3
    assert [label.name for label in Classifier.load(result.bundle).bundle.info.labels] == ["ant", "bee", "cow"]


@pytest.mark.parametrize("recipe", RECIPES)
def test_nothing_to_measure_on(recipe: str, tmp_path: Path) -> None:
    for kind, name in enumerate(("ant", "bee")):
        draw(tmp_path / "photos" / name, 1, kind)
    result = run(recipe, tmp_path / "photos", tmp_path)
    assert result.accuracy is None
    assert any("test has no photo of 2 classes" in note for note in result.notes)


@pytest.mark.parametrize("recipe", RECIPES)
def test_labels_with_odd_characters(recipe: str, tmp_path: Path) -> None:
    for kind, name in enumerate(ODD):
        draw(tmp_path / "photos" / name, 4, kind)
    classifier = Classifier.load(run(recipe, tmp_path / "photos", tmp_path).bundle)
    assert sorted(label.name for label in classifier.bundle.info.labels) == sorted(ODD)


@pytest.mark.nightly
def test_two_hundred_classes_of_five_photos(tmp_path: Path) -> None:
    for kind in range(200):
        draw(tmp_path / "photos" / f"kind{kind:03}", 5, kind)
    result = run("cnn", tmp_path / "photos", tmp_path, "recipe.epochs=1")
    assert result.test_photos == 200
    assert len(Classifier.load(result.bundle).bundle.info.labels) == 200


@pytest.mark.parametrize("recipe", RECIPES)
def test_without_pytorch_the_extra_is_named(recipe: str, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('torch', 'lightning', 'timm'), None))\n"
        "from animal_classification.cli.main import main; sys.exit(main())"
    )
    words = [sys.executable, "-c", code, "train", f"recipe={recipe}", f"output={tmp_path}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert re.fullmatch(rf'animals: recipe={recipe} needs an extra: pip install ".*\[train\]"\n', done.stderr)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.skipif(torch.cuda.is_available(), reason="the device is there")
def test_a_device_that_is_not_there_is_one_line(recipe: str, tmp_path: Path) -> None:
    for kind, name in enumerate(("ant", "bee")):
        draw(tmp_path / "photos" / name, 4, kind)
    with pytest.raises(UsageError, match=r"trainer\.accelerator=cuda: PyTorch .* finds none; install its wheel"):
        run(recipe, tmp_path / "photos", tmp_path, "trainer.accelerator=cuda")
