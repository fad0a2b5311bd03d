"""The model registry on real SQLite, as people and programs use it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from animal_classification import bundle as bundles
from animal_classification import registry
from animal_classification.cli.main import main
from animal_classification.common.atomic import put_file
from animal_classification.errors import BundleInvalidError, BundleNotFoundError, RegistryError
from animal_classification.registry import (
    Registry,
    promote,
    promotion,
    register,
    register_if_better,
    resolve_model,
    resolver,
    rollback,
)
from tests.support.tiny_bundle import COLOURS, solid, write_tiny_bundle


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables, which take a second to make."""
    file = tmp_path_factory.mktemp("registry") / "mlflow.db"
    Registry.open(f"sqlite:///{file}", create=True)
    return file


@pytest.fixture
def runs(tmp_path: Path, empty: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The output folder, with an empty registry, which is the one in use."""
    folder = tmp_path / "runs"
    folder.mkdir()
    shutil.copy(empty, folder)
    monkeypatch.setenv("ANIMALS_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
    return folder


def made(folder: Path, accuracy: float | None, *, data: str = "d1", **metrics: object) -> Path:
    """A bundle that differs from others by what was measured."""
    numbers = {**metrics, **({} if accuracy is None else {"accuracy": accuracy})}
    place = folder / f"bundle-{len(list(folder.glob('bundle-*')))}"
    return write_tiny_bundle(place, metrics=numbers, data={"version": data, "classes": 3})


def production(name: str = "zoo") -> int:
    return Registry.open().aliases(name)["production"]


def test_a_better_one_becomes_the_candidate(tmp_path: Path, runs: Path) -> None:
    first = register_if_better(made(tmp_path, 0.9), name="zoo")
    assert first.note == "registered as zoo/1, candidate: no version is in production yet"
    promote("zoo")
    worse = register_if_better(made(tmp_path, 0.85), name="zoo")
    assert worse.version is None
    assert worse.note == ("not registered: accuracy 0.8500 against 0.9000 of zoo/1 in production, on the same photos")
    as_good = register_if_better(made(tmp_path, 0.9, again=1.0), name="zoo")
    assert as_good.version is None
    better = register_if_better(made(tmp_path, 0.95), name="zoo")
    assert better.version is not None
    assert better.version.aliases == ("candidate",)
    assert [version.version for version in Registry.open().versions("zoo")] == [2, 1]  # refused ones take no number
    assert production() == 1  # a candidate serves nobody


def test_better_is_what_people_are_told(tmp_path: Path, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """More right labels, of which more are called unknown, are no better model."""
    register_if_better(made(tmp_path, 0.956, answered_right=0.931), name="zoo")
    promote("zoo")
    surer = register_if_better(made(tmp_path, 0.969, answered_right=0.920), name="zoo")
    assert surer.version is None
    assert surer.note == ("not registered: told right 0.9200 against 0.9310 of zoo/1 in production, on the same photos")
    better = register_if_better(made(tmp_path, 0.950, answered_right=0.940), name="zoo")
    assert better.version is not None
    assert better.version.answered_right == 0.94
    old = register_if_better(made(tmp_path, 0.9), name="zoo")
    assert "accuracy 0.9000 against 0.9560" in old.note, "registered before it was measured"
    assert main(["models", "show", "zoo"]) == 0
    assert "0.9310" in capsys.readouterr().out
    assert main(["models", "show", "zoo@production", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["answered_right"] == 0.931


def test_accuracies_on_other_photos_are_not_compared(tmp_path: Path, runs: Path) -> None:
    register_if_better(made(tmp_path, 0.9), name="zoo")
    promote("zoo")
    other = register_if_better(made(tmp_path, 0.5, data="d2"), name="zoo")
    assert other.version is not None
    assert "which was tested on other photos, so that the two cannot be compared" in other.note
    # More photos to learn from, the same ones to be tested on.
    same = register_if_better(made(tmp_path, 0.8, data="d3"), name="zoo", test_version="d1")
    assert same.version is None


def test_what_was_not_measured_does_not_replace_what_was(tmp_path: Path, runs: Path) -> None:
    register_if_better(made(tmp_path, 0.9), name="zoo")
    promote("zoo")
    assert register_if_better(made(tmp_path, None), name="zoo").note == (
        "not registered: its accuracy was not measured, and zoo/1 in production has 0.9000"
    )


def test_a_version_is_a_copy_that_stays(tmp_path: Path, runs: Path) -> None:
    bundle = made(tmp_path, 0.9)
    version = register(bundle, name="zoo", metrics={"test/recall/cat": 0.5})
    assert register(bundle, name="zoo") == version  # not twice
    shutil.rmtree(bundle)
    path = Path(resolve_model("models:/zoo/1"))
    assert path.is_relative_to(runs)
    assert bundles.load(path).sha256 == version.sha256
    assert version.metrics == {"accuracy": 0.9, "recall/cat": 0.5}
    assert version.data_version == "d1"
    assert version.bytes == sum(file.stat().st_size for file in path.iterdir())


def test_an_output_folder_that_was_moved(tmp_path: Path, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(made(tmp_path, 0.9), name="zoo")
    moved = tmp_path / "elsewhere"
    runs.rename(moved)
    monkeypatch.setenv("ANIMALS_TRACKING_URI", f"sqlite:///{moved / 'mlflow.db'}")
    assert Path(resolve_model("models:/zoo/1")).is_relative_to(moved)


def test_production_goes_forward_and_back(tmp_path: Path, runs: Path) -> None:
    for accuracy in (0.7, 0.8, 0.9):
        register_if_better(made(tmp_path, accuracy), name="zoo")
        change = promote("zoo")
        assert change.now.aliases == ("production",)
    assert production() == 3
    assert promote("zoo/3").before == promote("zoo/3").now  # nothing changes, and nothing is remembered twice
    change = rollback("zoo")
    assert (change.now.version, change.before and change.before.version) == (2, 3)
    assert rollback("zoo").now.version == 1
    with pytest.raises(RegistryError, match="model 'zoo': nothing was in production before"):
        rollback("zoo")
    promote("models:/zoo/3")
    assert rollback("zoo").now.version == 1


def test_a_production_version_that_was_deleted_elsewhere(
    tmp_path: Path, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, accuracy in enumerate((0.8, 0.9), 1):
        registry.register(made(tmp_path / f"b{number}", accuracy), name="zoo")
        registry.promote(f"zoo/{number}")
    store = registry.Registry.open()
    store.client.delete_model_version("zoo", "2")
    capsys.readouterr()
    assert main(["models", "list"]) == 0
    assert "gone; rollback would put zoo/1 back" in capsys.readouterr().out
    assert main(["models", "rollback", "zoo"]) == 0
    assert production() == 1


def test_a_promotion_leaves_alone_what_others_did_meanwhile(
    tmp_path: Path, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Verifying a bundle takes minutes from a bucket: a training may offer its own, an operator promote another one."""
    verify = resolver.local_bundle
    register_if_better(made(tmp_path, 0.7), name="zoo")
    promote("zoo")
    register_if_better(made(tmp_path, 0.8), name="zoo")

    def offered_meanwhile(*words: Any) -> bundles.Bundle:
        register_if_better(made(tmp_path, 0.9), name="zoo")
        return verify(*words)

    monkeypatch.setattr(promotion, "local_bundle", offered_meanwhile)
    assert promote("zoo").now.version == 2
    assert Registry.open().aliases("zoo") == {"production": 2, "candidate": 3}

    def promoted_meanwhile(*words: Any) -> bundles.Bundle:
        monkeypatch.setattr(promotion, "local_bundle", verify)
        promote("zoo/1")
        return verify(*words)

    monkeypatch.setattr(promotion, "local_bundle", promoted_meanwhile)
    change = promote("zoo")
    assert (change.now.version, change.before and change.before.version) == (3, 1)
    assert Registry.open().aliases("zoo") == {"production": 3}
    assert rollback("zoo").now.version == 1


def test_a_change_that_was_cut_off_does_no_harm(tmp_path: Path, runs: Path) -> None:
    for accuracy in (0.7, 0.8):
        register_if_better(made(tmp_path, accuracy), name="zoo")
        promote("zoo")
    register(made(tmp_path, 0.9), name="zoo")
    Registry.open().remember_production("zoo", [1, 2])  # as promote does, killed before it moves the alias
    assert production() == 2
    assert rollback("zoo").now.version == 1


def test_what_fails_verification_does_not_serve(tmp_path: Path, runs: Path) -> None:
    for accuracy in (0.7, 0.8):
        register_if_better(made(tmp_path, accuracy), name="zoo")
        promote("zoo")
    register(made(tmp_path, 0.9), name="zoo")
    places = {version: Path(resolve_model(f"models:/zoo/{version}")) for version in (1, 3)}
    model = places[3] / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1])
    with pytest.raises(BundleInvalidError, match=r"model\.onnx"):
        promote("zoo/3")
    shutil.rmtree(places[1])
    with pytest.raises(BundleNotFoundError, match="zoo/1: its bundle is gone"):
        rollback("zoo")
    shutil.copytree(made(tmp_path, 0.1), places[1])  # valid, but another one
    with pytest.raises(BundleInvalidError, match=r"zoo/1: .* is not what was registered"):
        rollback("zoo")
    assert production() == 2


def test_names_that_do_not_exist(tmp_path: Path, runs: Path) -> None:
    register(made(tmp_path, 0.9), name="zoo")
    for name, message in (
        ("models:/zo@production", r"there is no registered model 'zo'; did you mean 'zoo'\?$"),
        ("models:/zoo@production", r"no version with the alias 'production' \(aliases: none\)"),
        ("models:/zoo/7", "model 'zoo' has no version 7"),
    ):
        with pytest.raises(BundleNotFoundError, match=message):
            resolve_model(name)


def test_looking_makes_no_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    file = tmp_path / "none" / "mlflow.db"
    assert main(["models", "list", "--uri", f"sqlite:///{file}"]) == 1
    assert f"animals: there is no model registry at {file}: train a model first" in capsys.readouterr().err
    assert not file.parent.exists()


def test_an_empty_file_becomes_a_registry_and_a_full_one_stays(tmp_path: Path, empty: Path) -> None:
    file = tmp_path / "mlflow.db"
    file.touch()
    assert Registry.open(f"sqlite:///{file}").names() == []
    before = file.stat().st_ino
    put_file(Path(shutil.copy(empty, tmp_path / "slower")), file, existing="keep")
    assert file.stat().st_ino == before
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".tmp"] == []


def test_models_on_the_command_line(tmp_path: Path, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*words: str) -> str:
        assert main(["models", *words]) == 0
        return capsys.readouterr().out

    assert said("list") == "no model is registered yet\n"
    recalls = ({"cat": 0.5, "dog": 1.0}, {"cat": 0.9, "dog": 1.0})
    register_if_better(made(tmp_path, 0.75, recall=recalls[0]), name="zoo")
    assert said("promote", "zoo") == "zoo/1 is in production; nothing was before\n"
    register_if_better(made(tmp_path, 0.95, recall=recalls[1]), name="zoo")
    assert [line.split() for line in said("list").splitlines()][1] == ["zoo", "2", "1", "(0.7500)", "2", "(0.9500)"]
    compared = [line.split() for line in said("compare", "zoo", "zoo@candidate").splitlines()]
    assert ["accuracy", "0.7500", "0.9500", "+0.2000"] in compared
    assert ["recall", "cat", "0.5000", "0.9000", "+0.4000"] in compared
    difference = json.loads(said("compare", "zoo/1", "zoo/2", "--json"))
    assert difference["same_test"] is True
    assert difference["recall"]["cat"]["difference"] == pytest.approx(0.4)
    assert "do not say which one is better" in said("compare", "photos", "zoo")
    promoted = json.loads(said("promote", "zoo", "--json"))
    assert (promoted["production"]["version"], promoted["before"]["version"]) == (2, 1)
    assert "in production before: 1" in said("show", "zoo")
    assert said("rollback", "zoo") == "zoo/1 is in production, in place of zoo/2\n"
    shown = json.loads(said("show", "zoo@production", "--json"))
    assert (shown["version"], shown["accuracy"], shown["metrics"]["recall/cat"]) == (1, 0.75, 0.5)
    [listed] = json.loads(said("list", "--json"))["models"]
    assert [version["aliases"] for version in listed["versions"]] == [[], ["production"]]


def test_every_command_takes_a_registered_model(tmp_path: Path, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    register_if_better(made(tmp_path, 0.9), name="zoo")
    promote("zoo")
    Image.fromarray(solid(COLOURS[1], size=64)).save(tmp_path / "green.png")
    assert main(["predict", str(tmp_path / "green.png"), "--model", "models:/zoo@production", "--json"]) == 0
    [row] = json.loads(capsys.readouterr().out)["predictions"]
    assert row["label"] == "dog"
    assert main(["predict", str(tmp_path / "green.png"), "--model", "models:/zoo@candidate"]) == 2
    assert "has no version with the alias 'candidate' (aliases: production)" in capsys.readouterr().err


def test_the_room_is_cheap_until_it_is_asked() -> None:
    program = (
        "import sys; from animal_classification.registry import resolve_model; resolve_model('photos'); "
        "sys.exit(any(name.split('.')[0] in ('mlflow', 'sqlalchemy') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
    assert all(hasattr(registry, name) for name in registry.__all__)
