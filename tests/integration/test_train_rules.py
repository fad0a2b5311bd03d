"""What a trained bundle can promise, and what it says where it cannot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from animal_classification import bundle as bundles
from animal_classification.bundle.model import CARD_FILE
from animal_classification.config.compose import compose
from animal_classification.inference.reference import read_arrays
from animal_classification.training.train import Result, train
from tests.integration.test_train import COLOURS, draw
from tests.support.tiny_bundle import write_tiny_bundle


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tiny = write_tiny_bundle(tmp_path / "tiny", names=("red", "green", "blue"))
    return [f"backbone.bundle={tiny}", f"output={tmp_path / 'runs'}", "tracking=none"]


def card(result: Result) -> str:
    return (result.bundle / CARD_FILE).read_text(encoding="utf-8")


def said(result: Result) -> str:
    return "\n".join(result.notes)


def test_folders_train_and_test_give_a_model_with_everything(tmp_path: Path, words: list[str]) -> None:
    draw(tmp_path / "photos" / "train", dict.fromkeys(COLOURS, 30))
    (tmp_path / "photos" / "test").mkdir()
    for file in sorted((tmp_path / "photos" / "train").glob("*/?.png")):
        target = tmp_path / "photos" / "test" / file.parent.name / file.name
        target.parent.mkdir(exist_ok=True)
        file.rename(target)
    result = train(compose([*words, f"data.path={tmp_path / 'photos'}"]))
    info = bundles.load(result.bundle).info
    assert result.test_photos == 30
    assert info.conformal is not None
    assert info.unknown is not None
    assert "the photos came without val: " in said(result)
    assert "probabilities are calibrated" in card(result)


def test_what_a_bundle_lacks_is_said_and_not_claimed(tmp_path: Path, words: list[str]) -> None:
    """One photo of each class: none can be held out, whatever is done."""
    photos = draw(tmp_path / "photos", dict.fromkeys(COLOURS, 1))
    result = train(compose([*words, f"data.path={photos}", "data.test=0", "data.val=0"]))
    info = bundles.load(result.bundle).info
    assert (info.conformal, info.unknown) == (None, None)
    assert "no photo was left to judge the model by" in said(result)
    assert "probabilities are not calibrated" in card(result)
    few = draw(tmp_path / "few", dict.fromkeys(COLOURS, 6))
    result = train(compose([*words, f"data.path={few}"]))
    assert "it takes 30 for prediction sets and a rule for unknown photos: it has neither" in said(result)
    assert "probabilities are calibrated" in card(result)


def test_a_promise_that_photos_are_too_few_for_is_not_made(tmp_path: Path, words: list[str]) -> None:
    photos = draw(tmp_path / "photos", dict.fromkeys(COLOURS, 25))
    note = "the rule for unknown photos rests on 60 photos"
    result = train(compose([*words, f"data.path={photos}"]))
    assert note in said(result)
    assert "it may refuse up to 3.8% of the photos of the classes, and it takes 114 photos to promise the 2.0%" in said(
        result
    )
    assert note not in said(train(compose([*words, f"data.path={photos}", "unknown.refused=0.05"])))


def test_the_share_is_a_setting(tmp_path: Path, words: list[str]) -> None:
    """More may be refused: the threshold rises."""
    photos = draw(tmp_path / "photos", dict.fromkeys(COLOURS, 60))
    found = []
    for share in ("0.02", "0.1", "0.3"):
        result = train(compose([*words, f"data.path={photos}", f"unknown.refused={share}"]))
        rule = bundles.load(result.bundle).info.unknown
        assert rule is not None
        found.append(rule.threshold)
    assert found[0] < found[1] < found[2]


def test_one_photo_of_a_further_animal_does_not_switch_the_distance_off(tmp_path: Path, words: list[str]) -> None:
    photos = draw(tmp_path / "photos", {**dict.fromkeys(COLOURS, 40), "okapi": 1})
    result = train(compose([*words, f"data.path={photos}"]))
    bundle = bundles.load(result.bundle)
    assert bundle.info.unknown is not None
    assert bundle.info.unknown.method == "energy_mahalanobis"
    assert "no photo of 1 classes ('okapi') could be held out" in said(result)
    reference = read_arrays(bundle)
    assert np.isfinite(reference["distance_means"]).all()
