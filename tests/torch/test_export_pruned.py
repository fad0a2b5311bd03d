"""``animals export --to pruned``: a smaller bundle that says what was done to it, or nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from animal_classification import Classifier
from animal_classification import bundle as bundles
from animal_classification.cli.main import main
from animal_classification.data import read_source
from animal_classification.export import ExportRequest, export
from animal_classification.export.formats import Pruning
from tests.support.tiny_bundle import write_tiny_bundle
from tests.unit.export.graphs import block_model, pictures, plant_classes


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    return plant_classes(tmp_path / "zoo", 40)


@pytest.fixture
def model(tmp_path: Path) -> bundles.Bundle:
    return bundles.load(write_tiny_bundle(tmp_path / "model", model=block_model().SerializeToString()))


def test_a_pruned_bundle_answers_and_says_what_was_done(
    zoo: Path, model: bundles.Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["export", str(model.path), "--to", "pruned", "--data", str(zoo), "-o", str(tmp_path / "out"), "--json"]
    assert main([*words, "--prune", "0.4", "--minutes", "0.02"]) == 0
    said = json.loads(capsys.readouterr().out)
    facts = said["export"]
    assert 0.4 <= facts["pruned"] < 0.52  # packs of eight are a lot of sixty-four
    assert facts["pruned"] == pytest.approx(1 - facts["parameters"] / facts["original_parameters"], abs=1e-4)
    assert facts["bytes"] < 0.75 * facts["original_bytes"]
    assert facts["learning_photos"] + facts["choosing_photos"] == 84
    assert facts["widths"]["expand"][1] < facts["widths"]["expand"][0] == 64
    assert facts["divergence"] < 0.01
    assert said["version"] == "1+pruned"
    assert said["accuracy"] == 1.0
    written = bundles.load(tmp_path / "out")
    assert written.info.config["export"]["prune"] == 0.4
    assert "## This export: pruned" in written.card()
    assert main(["report", "check", str(tmp_path / "out" / "README.md"), "-q"]) == 0, capsys.readouterr()
    found = Classifier.load(written.path).predict(list(pictures(6)))
    assert [one.label for one in found] == ["cat", "dog", "lion"] * 2
    assert (
        main(["export", str(tmp_path / "out"), "--to", "int8", "--data", str(zoo), "-o", str(tmp_path / "both")]) == 0
    )
    assert bundles.load(tmp_path / "both").info.version == "1+pruned+int8"


def test_interrupted_it_leaves_nothing(zoo: Path, model: bundles.Bundle, tmp_path: Path) -> None:
    def interrupt(what: str, done: int, total: int) -> None:
        if what.startswith("recovery"):
            raise KeyboardInterrupt

    request = ExportRequest(
        kind="pruned",
        target=str(tmp_path / "new" / "out"),
        manifest=read_source(str(zoo)),
        source=str(zoo),
        pruning=Pruning(share=0.4),
        threads=1,
        cache=tmp_path / "cache",
        progress=interrupt,
    )
    with pytest.raises(KeyboardInterrupt):
        export(model, request)
    assert not (tmp_path / "new").exists()


def test_what_cannot_be_done_is_one_line(
    zoo: Path, model: bundles.Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    few = plant_classes(tmp_path / "few", 10)
    for words, code, reason in (
        (["photos"], 2, "does not say what it was trained on; name labelled photos"),
        ([str(model.path), "--data", str(few)], 2, "21 photos are too few to learn from; at least 64 are needed"),
        ([str(model.path), "--data", str(zoo), "--prune", "0.89"], 1, "cannot be taken out"),
    ):
        assert main(["export", *words, "--to", "pruned", "-o", out]) == code
        said = capsys.readouterr().err
        assert reason in said
        assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()
