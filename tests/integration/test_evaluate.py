"""``animals evaluate``: real engines, files and processes; photos whose truth is known by their colour."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("sklearn")

from animal_classification.bundle import load
from animal_classification.cli.main import main
from animal_classification.data import read_source
from animal_classification.errors import UsageError
from animal_classification.evaluation import Evaluation, evaluate
from animal_classification.evaluation.evaluator import EvaluateOptions
from animal_classification.inference import Classifier
from animal_classification.inference.engine import create_engine
from animal_classification.inference.reference import read_arrays
from animal_classification.training.recipes import RECIPES
from tests.support.reported import BLUE, GREEN, GREY, RED, SETS, draw
from tests.support.tiny_bundle import write_tiny_bundle


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Ten cats of which two are green (dogs, says the model), eight dogs, five grey wolves, one broken file."""
    folder = tmp_path / "photos"
    for number in range(10):
        draw(folder / f"cat-id/{number}.png", GREEN if number < 2 else RED, number)
    for number in range(8):
        draw(folder / f"Dog/{number}.png", GREEN, number)
    for number in range(5):
        draw(folder / f"wolf/{number}.png", GREY, number)
    (folder / "Dog/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 30)
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tiny_bundle(tmp_path / "tiny", conformal=SETS)


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main([str(word) for word in words])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_numbers_are_those_that_one_counts(
    model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "evaluation.json"
    code, out, err = run(capsys, "evaluate", model, photos, "--json", "--output", output)
    assert code == 0
    found: dict[str, Any] = json.loads(out)
    assert found["n"] == 18
    assert found["accuracy"] == pytest.approx(16 / 18, abs=1e-9)
    assert found["balanced_accuracy"] == pytest.approx((8 / 10 + 1) / 2, abs=1e-9)
    assert found["recall"] == found["accuracy"]
    assert found["macro"]["precision"] == pytest.approx((1 + 8 / 10) / 2, abs=1e-9)
    assert 0 <= found["ece"] <= 1
    assert 0 <= found["coverage"] <= found["coverage_shown"] <= 1
    assert found["unreadable"] == 1
    assert found["data"]["unknown_labels"] == {"wolf": 5}
    assert found["data"]["missing_labels"] == ["lion"]
    assert "animals: Dog/broken.png: " in err

    whole = Evaluation.read(output)
    assert len(whole.photos) == 24
    assert whole.data.photos == whole.data.scored + whole.data.unknown + whole.data.unreadable
    assert whole.unknown is not None
    assert whole.unknown.auroc == pytest.approx(1.0)
    mistakes = [whole.photos[index] for index in whole.examples.confident_mistakes]
    assert {(row.path, row.truth, row.answer) for row in mistakes} == {
        ("cat-id/0.png", "cat", "dog"),
        ("cat-id/1.png", "cat", "dog"),
    }
    assert whole.confusion.pairs == [("cat", "dog", 2)]
    assert whole.classes[0].taken_for == "dog"
    rows = [row for row in whole.photos if row.known and row.error is None]
    assert np.mean([row.truth in row.set for row in rows]) == found["coverage_shown"]
    assert np.mean([bool(row.correct) for row in rows]) == found["accuracy"]
    assert Evaluation.model_validate_json(whole.model_dump_json()) == whole


def test_a_person_gets_a_short_table(model: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "evaluate", model, photos)
    assert code == 0
    assert "88.9%" in out
    assert "cat  80.0% of 10 found  taken for dog 2 times" in out
    assert "5 photos of none of the model's classes count as unknown: wolf" in out
    assert "1 photo could not be used" in out
    assert len(out.splitlines()) < 30


def test_two_models_on_the_same_photos(
    model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other model knows fewer labels and calls every cat a dog."""
    other = write_tiny_bundle(tmp_path / "other", names=("lion", "dog", "cat"))
    code, out, _ = run(capsys, "evaluate", model, photos, "--compare", other, "--json")
    assert code == 0
    found = json.loads(out)["comparison"]
    assert (found["n"], found["only_this"], found["only_other"]) == (18, 8, 0)
    assert found["difference"]["value"] == pytest.approx(8 / 18)
    assert found["difference"]["low"] > 0
    assert found["units"] < 18, "some of these pictures are so alike that they count as copies"
    assert found["p_value"] == pytest.approx(2 / 2**7), "two of the eight are one observation"
    assert found["answered_right"]["difference"]["value"] == pytest.approx(8 / 18)


def test_photos_of_nothing_at_all_may_lie_elsewhere(
    model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        draw(tmp_path / f"things/{number}.png", RED, number)
    code, out, _ = run(capsys, "evaluate", model, photos, "--unknown", tmp_path / "things", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["unknown"]["n"] == 8
    assert found["unknown"]["refused_unknown"] == pytest.approx(5 / 8)
    assert run(capsys, "evaluate", model, photos, "--unknown", tmp_path / "nowhere")[0] == 2


def test_splits_and_copies(model: Path, tmp_path: Path) -> None:
    """Copies of one picture are one observation; the split that is asked for is the one that counts."""
    folder = tmp_path / "split"
    for number in range(4):
        draw(folder / f"test/cat/{number}.png", RED, 3)
        draw(folder / f"test/dog/{number}.png", GREEN, number)
        draw(folder / f"train/dog/{number}.png", GREEN, 20 + number)
    result = evaluate(load(model), read_source(folder), "split")
    assert (result.data.scored, result.data.left_out) == (8, {"in train": 4})
    assert result.data.units <= 5
    with pytest.raises(UsageError, match=r"the split 'val' has no photos \(8 in test, 4 in train\)"):
        evaluate(load(model), read_source(folder), "split", EvaluateOptions(split="val"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{model}", "{photos}/wolf"], "has no classes: 5 photos lie in it"),
        (["{model}", "{photos}", "--compare", "nowhere"], "no such model"),
        (["nowhere", "{photos}"], "no such model"),
        (["{model}", "nowhere"], "no such file or folder"),
    ],
)
def test_a_wrong_call_is_one_line(
    words: list[str], message: str, model: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, "evaluate", *(word.format(model=model, photos=photos) for word in words))
    assert code == 2
    assert out == ""
    assert re.search(message, err)
    assert len(err.splitlines()) == 1


def test_a_full_folder_or_a_missing_one_loses_nothing(
    model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, "evaluate", model, photos, "-o", tmp_path / "no/such/folder.json")
    assert code == 1
    assert "cannot write" in err
    (tmp_path / "other.json").write_text('{"accuracy": 1}')
    with pytest.raises(UsageError, match="is not an evaluation of this version"):
        Evaluation.read(tmp_path / "other.json")


def test_a_recipe_that_holds_out_nothing_gets_its_rules_from_the_val_photos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(RECIPES, "probe", "tests.support.colour_recipe")
    generator = np.random.default_rng(0)
    for name, colour in (("a", RED), ("b", GREEN), ("c", BLUE)):
        for number in range(50):
            pixels = np.clip(np.array(colour) * 0.8 + generator.normal(25, 25, 3), 0, 255)
            path = tmp_path / f"colours/{name}/{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((40, 40, 3), pixels, np.uint8)).save(path)
            path.with_suffix(".txt").write_text("left alone")
    words = ["data.test=0.2", "data.val=0.4", "tracking=none", f"output={tmp_path}/runs", "--json", "-q"]
    code, out, err = run(capsys, "train", f"data.path={tmp_path}/colours", *words)
    assert code == 0, err
    trained = load(json.loads(out)["bundle"])
    assert trained.info.calibration.temperature == 2.0
    assert trained.info.conformal is not None
    assert trained.info.conformal.n == 60
    assert trained.info.unknown is not None
    assert trained.info.unknown.method == "energy_mahalanobis"
    arrays = read_arrays(trained)
    assert arrays
    assert len(arrays["embedding"]) == len(arrays["path"]) == 60
    assert len(arrays["seen"]) == 120
    code, out, _ = run(capsys, "evaluate", trained.path, tmp_path / "colours", "--json")
    assert code == 0
    assert json.loads(out)["n"] == 30
    prediction = Classifier(
        trained, create_engine(trained.model_path, outputs=("logits", "embedding")), engine_name="auto", threads=1
    ).predict(np.full((40, 40, 3), (255, 255, 255), np.uint8))
    assert prediction.unknown, "white is neither red nor green nor blue"


@pytest.mark.timeout(300)
def test_a_model_of_ones_own_on_its_held_out_photos(
    photos_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Seventeen of the 22 animals are learned, from few photos each; five and things are unknown."""
    source = tmp_path / "animals"
    everything = sorted(path for path in (photos_dir / "animals22").iterdir() if path.is_dir())
    for folder in everything:
        (source / folder.name).mkdir(parents=True)
        for file in sorted(folder.iterdir())[:24]:
            (source / folder.name / file.name).symlink_to(file)
    learned = tmp_path / "learned"
    learned.mkdir()
    for folder in everything[:17]:
        (learned / folder.name).symlink_to(source / folder.name, target_is_directory=True)
    code, out, _ = run(
        capsys, "train", f"data.path={learned}", f"output={tmp_path}/runs", "tracking=none", "--json", "-q",
        "recipe.strengths=[0.1]", "recipe.folds=3",
    )  # fmt: skip
    assert code == 0
    trained = json.loads(out)
    code, out, _ = run(capsys, "evaluate", trained["bundle"], source, "--unknown", photos_dir / "non_animals", "--json")
    assert code == 0
    found = json.loads(out)
    # Without splits, and with five classes more than were learned: what training has used is known by its bytes.
    assert found["n"] == trained["photos"]
    assert found["accuracy"] == pytest.approx(trained["accuracy"], abs=1e-9)
    assert found["data"]["seen"] == 0
    assert len(found["data"]["unknown_labels"]) == 6
    assert found["unknown"]["auroc"] > 0.88
    assert 0.75 <= found["coverage"] <= 1
    whole = evaluate(load(trained["bundle"]), read_source(learned), "learned")
    assert whole.data.scored == found["n"]
    assert "divided as for the model's training" in " ".join(whole.notes)
    shown = [whole.photos[index] for index in whole.examples.uncertain]
    assert all(len(row.nearest) == 3 for row in shown)
    assert all((learned / near.path).is_file() for row in shown for near in row.nearest)
