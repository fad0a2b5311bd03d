"""Findings on drawn data, and what cleaning makes of them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from animal_classification.data.cleanup import clean
from animal_classification.data.manifest import Manifest, ManifestRow
from animal_classification.data.quality import label_issues
from animal_classification.data.quality.findings import KINDS, Finding
from animal_classification.data.quality.inspection import Inspection, InspectionRules, inspect
from animal_classification.data.quality.label_issues import find_wrong_labels
from animal_classification.data.quality.overlaps import find_crops
from animal_classification.data.scanner import Facts, scan
from animal_classification.data.sources import SourceOptions, read_source
from animal_classification.data.summary import as_object
from animal_classification.errors import MissingExtraError, OutputError, UsageError
from animal_classification.report.dataset_page import render, write_page
from animal_classification.report.dataset_text import finding_lines, summary_lines
from tests.unit.data.drawing import draw, draw_classes, listed, picture, seed_of


def inspect_folder(folder: Path, **rules: int) -> Inspection:
    cache = folder.parent / "cache"
    manifest = read_source(folder, SourceOptions(cache=cache))
    return inspect(
        manifest,
        scan([manifest.file(row) for row in manifest], cache=cache),
        rules=InspectionRules(**rules),  # type: ignore[arg-type]
    )


def of_kind(inspection: Inspection, kind: str) -> list[Finding]:
    return [finding for finding in inspection.findings if finding.kind == kind]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Train and test, with one of everything that is wrong."""
    folder = tmp_path / "photos"
    draw_classes(folder / "train", {"cat": 4, "dog": 4, "Dog ": 1, "none": 0})
    draw_classes(folder / "test", {"owl": 4})
    shutil.copyfile(folder / "train" / "cat" / "0.png", folder / "train" / "cat" / "0z.png")
    picture(seed_of("cat", 1)).resize((60, 45)).save(folder / "train" / "cat" / "1-small.jpg")
    shutil.copyfile(folder / "train" / "cat" / "2.png", folder / "train" / "dog" / "no-dog.png")
    draw(folder / "test" / "cat" / "leak.png", seed_of("cat", 3), (120, 90))
    draw(folder / "test" / "cat" / "other.png", 500)
    draw(folder / "test" / "cat" / "tiny.png", 501, (12, 12))
    (folder / "test" / "cat" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return folder


def test_every_kind_is_found(folder: Path) -> None:
    inspection = inspect_folder(folder, min_class=2)
    assert [f.paths for f in of_kind(inspection, "unreadable")] == [("test/cat/broken.png",)]
    assert [f.paths for f in of_kind(inspection, "tiny")] == [("test/cat/tiny.png",)]
    assert [f.paths for f in of_kind(inspection, "duplicate")] == [("train/cat/0.png", "train/cat/0z.png")]
    assert [f.paths for f in of_kind(inspection, "near_duplicate")] == [("train/cat/1-small.jpg", "train/cat/1.png")]
    assert [f.paths for f in of_kind(inspection, "leak")] == [("test/cat/leak.png", "train/cat/3.png")]
    assert [f.paths for f in of_kind(inspection, "label_conflict")] == [("train/cat/2.png", "train/dog/no-dog.png")]
    assert [f.explanation for f in of_kind(inspection, "empty_class")] == ["'none' has no usable photo"]
    assert of_kind(inspection, "small_class")[0].explanation.startswith("'Dog' has 1 photo;")
    assert [f.explanation for f in of_kind(inspection, "similar_labels")] == ["'Dog' and 'dog' are probably one class"]
    assert set(inspection.counts()) <= set(KINDS)
    assert inspection.not_looked_for


def test_cleaning(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*.png")}
    inspection = inspect_folder(folder)
    cleaning = clean(inspection.manifest, inspection.findings)
    assert {item.path: item.kind for item in cleaning.left_out} == {
        "test/cat/broken.png": "unreadable",
        "test/cat/tiny.png": "tiny",
        "train/cat/0z.png": "duplicate",
        "train/cat/1-small.jpg": "near_duplicate",
        "train/cat/2.png": "label_conflict",
        "train/cat/3.png": "leak",
        "train/dog/no-dog.png": "label_conflict",
    }
    assert {path: path.read_bytes() for path in folder.rglob("*.png")} == before
    assert not inspect_folder_findings(cleaning.manifest.rows, folder)
    kept = clean(inspection.manifest, inspection.findings, keep=["leak", "tiny"])
    assert {item.kind for item in kept.left_out} == {"unreadable", "duplicate", "near_duplicate", "label_conflict"}


def inspect_folder_findings(rows: tuple[ManifestRow, ...], folder: Path) -> list[str]:
    manifest = read_source(folder, SourceOptions(cache=folder.parent / "cache")).with_rows(rows)
    facts = scan([manifest.file(row) for row in manifest], cache=folder.parent / "cache")
    advice = {"empty_class", "small_class", "similar_labels"}
    return [finding.kind for finding in inspect(manifest, facts).findings if finding.kind not in advice]


def test_the_better_copy_is_kept() -> None:
    small = ManifestRow(path="a.png", label="cat", sha256="a", width=10, height=10, split="train")
    rows = (small, replace(small, path="b.png", width=20), replace(small, path="c.png", split="test"))
    manifest, _ = listed(*rows)
    finding = Finding(kind="leak", severity="error", paths=("a.png", "b.png", "c.png"), explanation="x")
    assert [row.path for row in clean(manifest, [finding]).manifest] == ["c.png"]
    two = replace(finding, kind="near_duplicate", paths=("a.png", "b.png"))
    assert [row.path for row in clean(manifest, [two]).manifest] == ["b.png", "c.png"]


def test_cleaning_refuses() -> None:
    manifest, _ = listed(ManifestRow(path="a.png", label="cat", problem="broken"))
    finding = Finding(kind="unreadable", severity="error", paths=("a.png",), explanation="broken")
    with pytest.raises(UsageError, match="nothing would be left of 1 photos"):
        clean(manifest, [finding])
    with pytest.raises(UsageError, match="no such kind to keep: 'small_class'"):
        clean(manifest, [finding], keep=["small_class"])


def test_a_set_of_small_pictures_is_not_all_tiny(tmp_path: Path) -> None:
    for index in range(4):
        draw(tmp_path / "photos" / "ab"[index % 2] / f"{index}.png", index, (28, 28))
    assert not of_kind(inspect_folder(tmp_path / "photos"), "tiny")


def test_one_class(tmp_path: Path) -> None:
    inspection = inspect_folder(draw_classes(tmp_path / "photos", {"cat": 3}))
    assert of_kind(inspection, "one_class")[0].severity == "error"


def test_crops_are_found_and_look_alikes_are_not(tmp_path: Path) -> None:
    large = picture(1, (400, 300))
    files = [tmp_path / f"{index}.png" for index in range(4)]
    large.save(files[0])
    large.crop((80, 40, 360, 270)).save(files[1])
    picture(2, (400, 300)).save(files[2])
    files[3].write_text("broken")
    alike = np.ones((4, 8), np.float32) + np.random.default_rng(0).normal(0, 0.01, (4, 8)).astype(np.float32)
    assert find_crops(files, alike) == [(0, 1)]
    assert find_crops(files, np.eye(4, 8, dtype=np.float32)) == []
    assert find_crops(files[:1], alike[:1]) == []


def clusters(classes: int, each: int, seed: int = 0) -> tuple[list[str], np.ndarray]:
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 1, (classes, 32))
    names = [f"class {index}" for index in range(classes) for _ in range(each)]
    return names, np.repeat(centres, each, axis=0).astype(np.float32) + rng.normal(0, 0.5, (len(names), 32)).astype(
        np.float32
    )


@pytest.mark.parametrize("method", ["calibrated", "cleanlab"])
def test_wrong_labels_are_found(method: label_issues.Method) -> None:
    if method == "cleanlab":
        pytest.importorskip("cleanlab", reason="the extra 'data' is not installed")
    names, vectors = clusters(5, 30)
    given = names.copy()
    wrong = {3: "class 4", 40: "class 0", 100: "class 1"}
    for index, name in wrong.items():
        given[index] = name
    doubts = find_wrong_labels(given, vectors, range(len(given)), method=method)
    assert {doubt.index: doubt.suggestion for doubt in doubts} == {index: names[index] for index in wrong}
    assert all(doubt.given < doubt.suggested for doubt in doubts)


@pytest.mark.parametrize(("classes", "each"), [(1, 9), (2, 2), (3, 3), (40, 3), (2, 1)])
def test_few_photos_give_an_answer(classes: int, each: int) -> None:
    names, vectors = clusters(classes, each)
    assert find_wrong_labels(names, vectors, range(len(names))) is not None


def rarely(photos: int, seed: int) -> float:
    """Which share of a rare class's right labels is doubted, among five classes of 60 that overlap a little."""
    names, vectors = clusters(6, 60, seed)
    vectors += np.random.default_rng(seed).normal(0, 0.5, vectors.shape).astype(np.float32)
    kept = [index for index, name in enumerate(names) if name != "class 0" or index < photos]
    doubts = find_wrong_labels([names[index] for index in kept], vectors[kept], range(len(kept)))
    return sum(doubt.index < photos for doubt in doubts) / photos


def test_labels_of_rare_classes_are_not_doubted_for_being_rare() -> None:
    for photos in (3, 5, 8):
        assert all(rarely(photos, seed) == 0 for seed in range(2)), photos
    assert np.mean([rarely(12, seed) for seed in range(6)]) < 0.06


def test_a_class_that_is_one_set_of_copies_is_not_doubted() -> None:
    names, vectors = clusters(4, 20)
    groups = [0 if name == "class 0" else index for index, name in enumerate(names)]
    assert not [doubt for doubt in find_wrong_labels(names, vectors, groups) if doubt.index < 20]
    assert label_issues.judged_classes(names, groups) == {"class 1", "class 2", "class 3"}
    assert find_wrong_labels(names, vectors, [0] * len(names)) == []


def sequences(tmp_path: Path) -> tuple[Manifest, np.ndarray, set[str]]:
    """Sixty sequences of five frames of four animals, of which three sequences have a wrong label."""
    rng = np.random.default_rng(0)
    scenes = np.repeat(rng.normal(0, 1, (4, 64)), 15, axis=0) + rng.normal(0, 0.8, (60, 64))
    frames = (np.repeat(scenes, 5, axis=0) + rng.normal(0, 0.3, (300, 64))).astype(np.float32)
    wrong = {2: "animal 3", 20: "animal 0", 50: "animal 1"}
    rows = [
        ManifestRow(
            path=f"{scene:02}-{frame}.jpg",
            label=wrong.get(scene, f"animal {scene // 15}"),
            group=f"sequence {scene}",
            sha256=f"{scene:032}{frame:032}",
        )
        for scene in range(60)
        for frame in range(5)
    ]
    return Manifest.of(rows, tmp_path), frames, {f"{scene:02}-{frame}.jpg" for scene in wrong for frame in range(5)}


def test_wrong_labels_of_whole_sequences_are_found(tmp_path: Path) -> None:
    manifest, frames, wrong = sequences(tmp_path)
    found = inspect(manifest, [Facts()] * len(manifest), embeddings=frames, rules=InspectionRules(near=-1))
    doubted = {path for finding in of_kind(found, "wrong_label") for path in finding.paths}
    assert len(doubted & wrong) >= 12
    assert len(doubted - wrong) <= 5


def test_what_is_not_judged_is_said(tmp_path: Path) -> None:
    manifest, frames, _ = sequences(tmp_path)
    rare = [replace(row, label="okapi") if row.path < "01" else row for row in manifest]
    found = inspect(manifest.with_rows(rare), [Facts()] * 300, embeddings=frames, rules=InspectionRules(near=-1))
    assert any("'okapi'" in line and "10 photos" in line for line in found.not_looked_for)
    assert "okapi" not in {
        row.label for finding in of_kind(found, "wrong_label") for row in rare if row.path in finding.paths
    }


def doubt(path: str) -> Finding:
    return Finding(kind="wrong_label", severity="warning", paths=(path,), explanation="looks like cat", score=0.9)


def test_no_class_is_emptied_and_losses_are_told() -> None:
    rows = [
        *(ManifestRow(path=f"cat/{n}.png", label="cat", sha256=f"c{n}") for n in range(4)),
        *(ManifestRow(path=f"okapi/{n}.png", label="okapi", sha256=f"o{n}") for n in range(2)),
    ]
    manifest = Manifest.of(rows, Path())
    found = clean(manifest, [doubt("okapi/0.png"), doubt("okapi/1.png"), doubt("cat/3.png")])
    assert [row.path for row in found.manifest if row.label == "okapi"] == ["okapi/0.png", "okapi/1.png"]
    assert [loss.line() for loss in found.losses] == ["cat: 1 of 4 photos go (25%): 1 wrong_label"]
    assert "'okapi'" in found.notes[0]
    assert "wrong_label" in found.notes[0]


def test_a_class_of_copies_in_another_split_keeps_one() -> None:
    rows = [
        ManifestRow(path="a.png", label="bison", split="test", sha256="1"),
        ManifestRow(path="b.png", label="deer", sha256="1", split="train"),
    ]
    findings = [
        Finding(kind=kind, severity="error", paths=("a.png", "b.png"), explanation="the same bytes")
        for kind in ("leak", "label_conflict")
    ]
    assert {row.label for row in clean(Manifest.of(rows, Path()), findings).manifest} == {"bison", "deer"}


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_issues, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r'needs an extra: pip install ".*\[data\]"'):
        label_issues.require("cleanlab")


def test_the_page_holds_everything(folder: Path, tmp_path: Path) -> None:
    shutil.move(folder / "train" / "cat", folder / "train" / "<script>alert(1)")
    inspection = inspect_folder(folder)
    page = render(inspection, "<my> photos")
    assert "<script" not in page
    assert "&lt;my&gt; photos" in page
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("data:image/jpeg;base64,") >= 8
    assert all(KINDS[finding.kind].capitalize() in page for finding in inspection.findings)
    write_page(inspection, "x", tmp_path / "new" / "page.html")
    assert (tmp_path / "new" / "page.html").stat().st_size > 5000
    with pytest.raises(OutputError, match="cannot write"):
        write_page(inspection, "x", tmp_path)


def test_lines_and_object(folder: Path) -> None:
    inspection = inspect_folder(folder)
    lines = "\n".join([*summary_lines(inspection), *finding_lines(inspection)])
    assert "the same picture in two splits: 1" in lines
    assert f"data version {inspection.manifest.version}" in lines
    told = as_object(inspection, "x")
    assert told["photos"] == len(inspection.manifest)
    assert told["classes"]["cat"] == {"train": 6, "test": 3}
    assert told["counts"]["leak"] == 1


def test_a_page_of_nothing_wrong(tmp_path: Path) -> None:
    inspection = inspect_folder(draw_classes(tmp_path / "photos", {"cat": 3, "dog": 3}), min_class=2)
    assert "nothing that is looked for here is wrong" in render(inspection, "x")
    assert list(finding_lines(inspection)) == ["nothing wrong was found"]


def test_sixteen_bit_and_transparent_photos(tmp_path: Path) -> None:
    folder = draw_classes(tmp_path / "photos", {"cat": 1, "dog": 1})
    Image.new("RGBA", (50, 50), (1, 2, 3, 0)).save(folder / "cat" / "clear.png")
    assert not of_kind(inspect_folder(folder), "unreadable")
