"""A model of one's own as the backbone of the next: what speaks is the last head, and which weights it was is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from animal_classification import bundle as bundles
from animal_classification.config.compose import compose
from animal_classification.errors import AnimalsError
from animal_classification.inference import Classifier
from animal_classification.registry import promote
from animal_classification.training import heldout_metrics
from animal_classification.training.probe import recipe
from animal_classification.training.probe.onnx_head import with_head
from animal_classification.training.train import Result, train
from tests.integration.test_train import draw
from tests.support.tiny_bundle import write_tiny_bundle

# Which animal has which colour differs between the generations, so that an old head is as wrong as can be.
RED, GREEN, BLUE, WHITE = (200, 30, 30), (30, 200, 30), (30, 30, 200), (220, 220, 220)
GENERATIONS = (
    {"cat": RED, "dog": GREEN, "lion": BLUE},
    {"ape": BLUE, "bee": RED, "cow": GREEN},
    {"emu": GREEN, "fox": WHITE, "gnu": RED, "hen": BLUE},
)


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return [f"output={tmp_path / 'runs'}", "tracking=none"]


def learned(tmp_path: Path, words: list[str], number: int, backbone: Path | str, *more: str) -> Result:
    photos = tmp_path / f"photos{number}"
    if not photos.exists():
        draw(photos, dict.fromkeys(GENERATIONS[number], 15), GENERATIONS[number])
    return train(compose([*words, f"data.path={photos}", f"backbone.bundle={backbone}", *more]))


@pytest.mark.parametrize("test", ["0.2", "0"])
def test_probe_on_probe_on_probe_answers_with_the_last_head(tmp_path: Path, words: list[str], test: str) -> None:
    """Two generations of as many classes, where an engine would take either head, and one of more."""
    backbone: Path = write_tiny_bundle(tmp_path / "tiny", names=("red", "green", "blue"))
    for number, colours in enumerate(GENERATIONS):
        backbone = learned(tmp_path, words, number, backbone, f"data.test={test}").bundle
        classifier = Classifier.load(backbone)
        files = sorted((tmp_path / f"photos{number}").glob("*/*.png"))
        answers = [prediction.label for prediction in classifier.predict(files)]
        right = np.mean([answer == file.parent.name for answer, file in zip(answers, files, strict=True)])
        assert right > 0.95, f"{colours}: {right}"
        assert classifier.bundle.head()[0].shape == (len(colours), 3)


@pytest.mark.parametrize("test", ["0.2", "0"])
def test_a_graph_that_answers_otherwise_never_gets_the_bundle_s_name(
    tmp_path: Path, words: list[str], test: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With test photos or, where there are none, with those that it learned from."""
    tiny = write_tiny_bundle(tmp_path / "tiny", names=("red", "green", "blue"))
    monkeypatch.setattr(recipe, "with_head", lambda model, weight, bias: with_head(model, weight[::-1].copy(), bias))
    with pytest.raises(AnimalsError, match="the model answers otherwise than when it was trained") as caught:
        learned(tmp_path, words, 0, tiny, f"data.test={test}")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("runs/*/bundle"))
    assert not list(tmp_path.glob("runs/*/.bundle*")), "nor is anything left of it"


def test_where_nobody_knows_the_logits_there_is_nothing_to_compare(tmp_path: Path) -> None:
    bundle = bundles.load(write_tiny_bundle(tmp_path / "tiny"))
    heldout_metrics.check_served(bundle, heldout_metrics.ReferenceLogits((), np.empty((0, 0), np.float32)))


def test_another_backbone_under_the_same_name_is_another_version(tmp_path: Path, words: list[str]) -> None:
    where = tmp_path / "backbone"
    found = []
    for names in (("red", "green", "blue"), ("blue", "green", "red")):
        write_tiny_bundle(tmp_path / names[0], names=names)
        where.unlink(missing_ok=True)
        where.symlink_to(tmp_path / names[0])
        found.append(learned(tmp_path, words, 0, where))
    versions = {bundles.load(result.bundle).info.version for result in found}
    assert len(versions) == 2
    again = learned(tmp_path, words, 0, where)
    assert bundles.load(again.bundle).info.version in versions, "and the same backbone the same version"


def test_the_model_in_production_is_a_backbone(tmp_path: Path, words: list[str]) -> None:
    tiny = write_tiny_bundle(tmp_path / "tiny", names=("red", "green", "blue"))
    tracked = [f"output={tmp_path / 'runs'}", "tracking=mlflow", f"tracking.uri=sqlite:///{tmp_path / 'm.sqlite'}"]
    first = learned(tmp_path, tracked, 0, tiny, "name=zoo")
    promote("zoo", uri=tracked[2].removeprefix("tracking.uri="))
    second = learned(tmp_path, tracked, 1, "models:/zoo@production", "name=zoo")
    assert second.accuracy == 1.0
    labels = [{label.name for label in bundles.load(result.bundle).info.labels} for result in (first, second)]
    assert labels == [{"cat", "dog", "lion"}, {"ape", "bee", "cow"}]
