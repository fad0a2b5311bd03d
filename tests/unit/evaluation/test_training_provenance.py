"""What a bundle says of its own training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from animal_classification import data
from animal_classification.bundle import load
from animal_classification.cli.main import main
from animal_classification.data.sources import Columns, SourceOptions
from animal_classification.errors import UsageError
from animal_classification.evaluation.training_provenance import recipe_name, training_source
from animal_classification.report.model_card import bundle_card
from animal_classification.report.report_inputs import ReportInputs, inputs_of
from tests.support.tiny_bundle import write_tiny_bundle

TABLE = {"path": "labels.csv", "kind": "table", "root": "photos", "columns": {"path": "file", "label": None}}


def test_photos_are_read_as_they_were_in_training(tmp_path: Path) -> None:
    info = load(write_tiny_bundle(tmp_path / "tiny", config={"data": TABLE})).info
    found = training_source(info)
    assert found.name == "labels.csv"
    assert found.options == SourceOptions(kind="table", root=Path("photos"), columns=Columns(path="file"))
    moved = training_source(info, SourceOptions(root=tmp_path, columns=Columns(label="animal"), workers=2)).options
    assert (moved.kind, moved.root, moved.workers) == ("table", tmp_path, 2)
    assert moved.columns == Columns(path="file", label="animal")


@pytest.mark.parametrize("config", [{}, {"data": 3}, {"data": {"path": 3}}])
def test_a_bundle_that_does_not_say_is_refused(tmp_path: Path, config: dict[str, Any]) -> None:
    info = load(write_tiny_bundle(tmp_path / "tiny", config=config)).info
    with pytest.raises(UsageError, match="does not say what it was trained on; name labelled photos with --data"):
        training_source(info)


def test_what_is_no_text_says_nothing(tmp_path: Path) -> None:
    strange = {"path": "photos", "kind": 1, "root": ["x"], "columns": {"path": 3, "other": "x"}}
    info = load(write_tiny_bundle(tmp_path / "tiny", config={"data": strange, "recipe": {"name": 3}})).info
    assert training_source(info).options == SourceOptions()
    assert recipe_name(info) is None


def test_an_export_reads_them_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, SourceOptions]] = []

    def read(source: str, options: SourceOptions) -> None:
        asked.append((source, options))
        raise UsageError("enough")

    monkeypatch.setattr(data, "read_source", read, raising=False)
    model = write_tiny_bundle(tmp_path / "tiny", config={"data": TABLE})
    assert main(["export", str(model), "--to", "int8", "-o", str(tmp_path / "out"), "-q"]) == 2
    assert [(name, options.kind, options.root) for name, options in asked] == [("labels.csv", "table", Path("photos"))]


def test_only_a_trained_model_says_that_it_was(tmp_path: Path) -> None:
    for name, config in (("made", {"architecture": "x"}), ("trained", {"recipe": {"name": "probe"}})):
        info = load(write_tiny_bundle(tmp_path / name, config=config)).info
        said = bundle_card(info, None, "photos", use="tiny")
        assert "Names 3 kinds of animals in photos." in said
        assert ("Made with `animals train`" in said) == (name == "trained")
    assert "Made with" not in bundle_card(load("photos").info, None, "photos", use="photos")


CROPS = {"path": "names.csv", "kind": "timelapse", "root": "photos", "boxes": "md.json", "blanks": True}


def test_a_model_of_crops_is_measured_on_crops(tmp_path: Path) -> None:
    """Without the boxes it would be measured on whole photos, which it has never seen, and nobody would notice."""
    info = load(write_tiny_bundle(tmp_path / "tiny", config={"data": CROPS})).info
    wanted = SourceOptions(kind="timelapse", root=Path("photos"), boxes=Path("md.json"), blanks=True)
    assert training_source(info).options == wanted
    inputs = inputs_of(load(tmp_path / "tiny"), "tiny")
    assert inputs.source_options() == wanted
    assert ReportInputs.found_in(inputs.in_text(), "card").source_options() == wanted


def test_boxes_say_nothing_of_a_source_of_another_kind(tmp_path: Path) -> None:
    info = load(write_tiny_bundle(tmp_path / "tiny", config={"data": {**CROPS, "kind": "auto"}})).info
    assert training_source(info).options == SourceOptions(root=Path("photos"))
