"""From a bundle to a bundle: what is written, what is refused, and which photos are for what."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from onnx import load_model_from_string, numpy_helper

from animal_classification import Classifier
from animal_classification import bundle as bundles
from animal_classification.cli import export as command
from animal_classification.cli.main import main
from animal_classification.data import read_source
from animal_classification.errors import AnimalsError, UsageError
from animal_classification.export import KINDS, ExportRequest, comparison, export, formats
from animal_classification.export.calibration_set import choose
from animal_classification.export.comparison import installed_engines
from animal_classification.inference.reference import read_arrays
from tests.support.tiny_bundle import tiny_model, write_tiny_bundle
from tests.unit.export.graphs import conv_model, pictures, plant_classes


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    """Ninety pictures of three classes."""
    return plant_classes(tmp_path / "zoo", 30)


@pytest.fixture
def model(tmp_path: Path) -> bundles.Bundle:
    data = conv_model().SerializeToString()
    return bundles.load(write_tiny_bundle(tmp_path / "model", model=data, metrics={"top1": 0.123}))


def ask(zoo: Path, target: Path, kind: str, **more: Any) -> ExportRequest:
    options = {"source": str(zoo), "max_drop": 0.5, "threads": 1, "cache": target.parent / "cache", **more}
    return ExportRequest(kind=kind, target=str(target), manifest=read_source(str(zoo)), **options)


def nearly_equal_classes() -> bytes:
    """Weights that half precision cannot tell apart: every photo gets the class with the largest bias."""
    model = load_model_from_string(tiny_model(3))
    for tensor in model.graph.initializer:
        if tensor.name == "weight":
            tensor.CopyFrom(numpy_helper.from_array((1e4 + np.eye(40, 3)[:3] * 2).astype(np.float32), "weight"))
        if tensor.name == "bias":
            tensor.CopyFrom(numpy_helper.from_array(np.array([0, 0.01, 0], np.float32), "bias"))
    # A weight this small is left alone, so the layer gets a few rows that nobody asks for.
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("kind", ["int8", "fp16", "openvino"])
def test_an_export_is_a_bundle_that_answers_and_says_what_it_is(
    kind: str, zoo: Path, model: bundles.Bundle, tmp_path: Path
) -> None:
    exported = export(model, ask(zoo, tmp_path / "out", kind))
    written = bundles.load(tmp_path / "out")
    assert written.info.version == f"1+{kind}"
    facts = written.info.metrics["export"]
    assert written.info.metrics["accuracy"] == 1.0
    assert written.info.metrics["photos"] == exported.compared.n == 18
    assert "top1" not in written.info.metrics  # it was the original's
    assert facts["of"]["sha256"] == model.sha256
    assert facts["drop_points"]["value"] == 0.0
    assert facts["bytes"] == exported.export.bytes
    assert set(facts["ms_per_photo"]) == ({"openvino"} if kind == "openvino" else set(installed_engines()))
    assert f"## This export: {kind}" in written.card()
    assert "Tells colours apart." in written.card()
    assert read_arrays(written)
    answers = Classifier.load(written.path).predict(list(pictures(6)))
    assert [one.label for one in answers] == ["cat", "dog", "lion"] * 2
    assert Classifier.load(written.path).heatmap(pictures(1)[0]).shape == (32, 32, 3)


@pytest.mark.parametrize("kind", ["int8", "fp16", "openvino"])
@pytest.mark.parametrize("own", [True, False])
def test_the_card_of_an_export_is_about_the_export(
    kind: str, own: bool, zoo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The numbers of the original stayed in its front matter; ``report check`` named nine differences."""
    pytest.importorskip("sklearn")
    config = {"recipe": {"name": "probe"}, "data": {"path": "somewhere/else"}} if own else {}
    old = "---\nlicense: mit\n---\n# tiny\n\nTells colours apart.\n\n| accuracy | 0.123 |\n"
    original = write_tiny_bundle(
        tmp_path / "model",
        model=conv_model().SerializeToString(),
        config=config,
        metrics={"accuracy": 0.123, "answered_right": 0.111},
        files={"README.md": old.encode()},
    )
    target = tmp_path / "out"
    assert main(["export", str(original), "--to", kind, "--data", str(zoo), "-o", str(target), "-q"]) == 0
    card = target / "README.md"
    text = card.read_text()
    assert text.count("---\n") == 2
    assert ("> Tells colours apart." in text) == (not own), "whatever we did not write is quoted"
    assert "0.123" not in text.partition("## What the original's card says")[0]
    info = bundles.load(target).info
    assert (info.metrics["accuracy"], info.metrics["answered_right"]) == (1.0, 1.0)
    capsys.readouterr()
    assert main(["report", "check", str(card), "-q"]) == 0, capsys.readouterr()
    for old_words, new_words in (
        ("| accuracy | 1.000 ", "| accuracy | 0.999 "),
        ("            value: 1.0000", "            value: 0.9000"),
        ("| told right | 100.00% | 100.00% |", "| told right | 100.00% | 99.00% |"),
        ("## Limits", "<b hidden>never</b>\n\n## Limits"),
        ("## Limits", '<input value="all">\n\n## Limits'),
        ("## Limits", "![right](right.svg)\n\n## Limits"),
    ):
        assert old_words in text
        _write_card(card, text.replace(old_words, new_words, 1))
        assert main(["report", "check", str(card), "-q"]) == 1, new_words
    _write_card(card, text)
    document = json.loads((target / "bundle.json").read_text())
    document["metrics"]["answered_right"] = 0.5
    (target / "bundle.json").write_text(json.dumps(document))
    capsys.readouterr()
    assert main(["report", "check", str(card), "-q"]) == 1
    assert "bundle.json, answered_right: it says 0.5, measured 1.000000" in capsys.readouterr().out


def _write_card(card: Path, text: str) -> None:
    """As somebody would who also knows that the bundle is verified."""
    card.write_text(text)
    document = json.loads((card.parent / "bundle.json").read_text())
    document["files"]["README.md"] = hashlib.sha256(card.read_bytes()).hexdigest()
    (card.parent / "bundle.json").write_text(json.dumps(document))


def test_an_export_that_calls_its_own_animals_unknown_is_refused(
    zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its labels are all right, so that the accuracy alone would let it pass."""
    model = write_tiny_bundle(tmp_path / "model", model=conv_model().SerializeToString())

    def flattened(source: formats.ExportSource) -> formats.ExportedFiles:
        return formats.ExportedFiles(files={"model.onnx": source.bundle.content("model.onnx")}, temperature=99.0)

    monkeypatch.setitem(cast("dict[str, formats.ExportFormat]", KINDS), "fp16", formats.ExportFormat(flattened, ""))
    words = ["export", str(model), "--to", "fp16", "--data", str(zoo), "-o", str(tmp_path / "out"), "-q"]
    assert main(words) == 1
    said = capsys.readouterr().err
    assert "fp16 loses 100.00 points of what is told right (100.00 to 0.00 on 18 photos) and --max-drop allows" in said
    assert not (tmp_path / "out").exists()


def test_both_are_measured_by_the_engine_that_serves(
    zoo: Path, model: bundles.Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    start = comparison.start

    def noted(name: str, path: Path, threads: int) -> Any:
        started.append(name)
        return start(name, path, threads)

    monkeypatch.setattr(comparison, "start", noted)
    monkeypatch.setattr(
        comparison, "speeds", lambda graphs, images: {n: dict.fromkeys(g, 1.0) for n, g in graphs.items()}
    )
    export(model, ask(zoo, tmp_path / "out", "fp16"))
    assert started == [Classifier.load(model).engine] * 2


def test_int8_says_what_it_was_calibrated_with(zoo: Path, model: bundles.Bundle, tmp_path: Path) -> None:
    export(model, ask(zoo, tmp_path / "out", "int8", max_drop=2.0))
    info = bundles.load(tmp_path / "out").info
    facts = info.metrics["export"]
    assert facts["range_photos"] + facts["choosing_photos"] == 63
    assert facts["layers"] == 3
    assert info.config["export"]["max_drop"] == 2.0
    assert info.calibration.temperature == pytest.approx(1.0, abs=0.2)


def test_a_model_without_convolutions_gets_an_int8_head(zoo: Path, tmp_path: Path) -> None:
    tiny = bundles.load(write_tiny_bundle(tmp_path / "tiny"))
    exported = export(tiny, ask(zoo, tmp_path / "out", "int8"))
    assert any("no layer" in note for note in exported.notes)


def test_openvino_files_are_part_of_the_bundle(zoo: Path, model: bundles.Bundle, tmp_path: Path) -> None:
    written = export(model, ask(zoo, tmp_path / "out", "openvino")).bundle
    assert {"model.onnx", "openvino/model.xml", "openvino/model.bin"} <= set(written.info.files)


def test_what_loses_too_much_is_refused_in_one_line(
    zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("animal_classification.export.weight_storage._LEAST_VALUES", 1)
    write_tiny_bundle(tmp_path / "fine", model=nearly_equal_classes())
    words = ["export", str(tmp_path / "fine"), "--to", "fp16", "--data", str(zoo), "-o", str(tmp_path / "out")]
    assert main(words) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "fp16 loses 66.67 points of top-1 (100.00 to 33.33 on 18 photos) and --max-drop allows 0.5" in said
    assert not (tmp_path / "out").exists()
    # Below one half, the best label is not told: every photo is called unknown.
    assert main([*words, "--max-drop", "70"]) == 1
    said = capsys.readouterr().err
    assert "fp16 loses 100.00 points of what is told right (100.00 to 0.00 on 18 photos)" in said
    assert not (tmp_path / "out").exists()
    assert main([*words, "--max-drop", "100"]) == 0
    assert bundles.load(tmp_path / "out").info.metrics["accuracy"] == pytest.approx(1 / 3, abs=1e-6)


def test_the_command_prints_a_table_or_one_object(
    zoo: Path, model: bundles.Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["export", str(model.path), "--to", "fp16", "--data", str(zoo), "-o", str(tmp_path / "out")]
    assert main(words) == 0
    table = capsys.readouterr().out
    assert "top-1 (n = 18)" in table
    assert "tiny 1+fp16" in table
    assert main([*words, "--overwrite", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["bundle"] == str(tmp_path / "out")
    assert result["accuracy"] == 1.0
    assert result["export"]["agreement"] == 1.0


def test_a_taken_target_is_refused_before_any_work(zoo: Path, model: bundles.Bundle, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="already holds a bundle"):
        export(model, ask(zoo, model.path, "int8"))


def test_a_model_that_does_not_say_its_data_needs_photos(
    model: bundles.Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(model.path), "--to", "fp16", "-o", str(tmp_path / "out")]) == 2
    assert "with --data" in capsys.readouterr().err


def test_photos_to_calibrate_with_are_never_measured_on(zoo: Path, model: bundles.Bundle, tmp_path: Path) -> None:
    manifest = read_source(str(zoo))
    chosen = choose(model, manifest, wanted="test", calibrate=(), cache=tmp_path)
    measured = {one.file for one in chosen.measured}
    assert len(measured) == 18
    assert len(chosen.calibration) == 63
    assert not measured & set(chosen.calibration)
    with pytest.raises(UsageError, match="name others with --calibrate"):
        choose(model, manifest, wanted="all", calibrate=(), cache=tmp_path)
    other = plant_classes(tmp_path / "other", 2)
    everything = choose(model, manifest, wanted="all", calibrate=(str(zoo / "cat"), str(other)), cache=tmp_path)
    assert len(everything.measured) == 90
    assert all(not file.is_relative_to(zoo) for file in everything.calibration)
    assert any("were left out" in note for note in everything.notes)


def test_too_few_photos_to_calibrate_with(model: bundles.Bundle, tmp_path: Path) -> None:
    few = plant_classes(tmp_path / "few", 5)
    with pytest.raises(AnimalsError, match="too few to calibrate with"):
        export(model, ask(few, tmp_path / "out", "int8"))
    assert not (tmp_path / "out").exists()


def test_the_command_offers_what_there_is() -> None:
    assert tuple(KINDS) == command.KINDS
