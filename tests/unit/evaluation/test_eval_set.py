"""Which photos are looked at, and what the model calls their labels."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from animal_classification.bundle.schema import BundleInfo, Code, Data, Label, Preprocess
from animal_classification.data.manifest import Manifest, ManifestRow
from animal_classification.errors import UsageError
from animal_classification.evaluation.eval_set import NO_TARGET, Subject, Units, copies_note, match_labels, select
from animal_classification.inference.reference import TrainingReference


def info(**more: Any) -> BundleInfo:
    return BundleInfo(
        name="zoo",
        version="1",
        created=datetime(2026, 1, 1, tzinfo=UTC),
        labels=(Label(id="n1", name="polar bear"), Label(id="n2", name="lion"), Label(id="lion", name="sea lion")),
        preprocess=Preprocess(size=32, crop_pct=1.0, interpolation="bicubic"),
        code=Code(version="0"),
        **{"data": Data(version="else", classes=3), **more},
    )


def sha(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def record(path: str, label: str, split: str | None = None, problem: str | None = None) -> ManifestRow:
    return ManifestRow(path=path, label=label, split=split, sha256=sha(path), problem=problem)


def manifest(*rows: ManifestRow) -> Manifest:
    return Manifest.of(rows, Path("photos"))


def reference(*seen: str) -> TrainingReference:
    hashes = np.array(sorted(int(sha(name)[:16], 16) for name in seen), dtype=np.uint64)
    return TrainingReference(None, np.empty(0, np.int64), (), hashes)


def test_labels_are_matched_by_id_before_name_whatever_their_spelling() -> None:
    rows = [record(f"{name}.jpg", name) for name in ("n1", "Polar_Bear", "lion", "SEA-LION", "wolf")]
    assert match_labels(manifest(*rows), info()) == {"n1": 0, "Polar_Bear": 0, "lion": 2, "SEA-LION": 2}


def test_the_split_is_taken_and_the_rest_is_counted() -> None:
    photos = manifest(
        record("a", "n1", "test"),
        record("b", "n1", "train"),
        record("c", "n1", "val"),
        record("d", "n1", None, problem="is cut short"),
        record("e", "wolf", "test"),
    )
    found = select(photos, info(), reference())
    assert [subject.row.path for subject in found.subjects] == ["a", "d", "e"]
    assert [subject.target for subject in found.subjects] == [0, 0, NO_TARGET]
    assert found.left_out == {"in train": 1, "in val": 1}
    assert found.split == "test"
    assert len(select(photos, info(), reference(), wanted="all").subjects) == 5


def test_without_splits_all_that_the_model_has_not_seen_is_taken() -> None:
    photos = manifest(record("a", "n1"), record("b", "n1"), record("c", "n2"))
    found = select(photos, info(), reference("b"))
    assert [subject.row.path for subject in found.subjects] == ["a", "c"]
    assert found.left_out == {"in the training data": 1}
    assert found.split == "all"
    with pytest.raises(UsageError, match="has seen every one of these photos"):
        select(photos, info(), reference("a", "b", "c"))
    everything = select(photos, info(), reference("a", "b", "c"), wanted="all")
    assert [subject.seen for subject in everything.subjects] == [True, True, True]


@pytest.mark.parametrize(
    ("rows", "wanted", "message"),
    [
        (
            [record("a", "wolf")],
            "test",
            r"no usable photo has a label that zoo knows; .* such as wolf; it knows 3, such",
        ),
        ([record("a", "n1", "train")], "test", r"the split 'test' has no photos \(1 in train\); choose another"),
        ([record("a", "n1", None, problem="is empty")], "test", "no usable photo"),
        ([record("a", "n1")], "tst", "no such split: 'tst'"),
        ([record("a", "n1")], "val", "the photos have no splits, so there is no 'val'"),
    ],
)
def test_nothing_to_measure_is_one_clear_line(rows: list[ManifestRow], wanted: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        select(manifest(*rows), info(), reference(), wanted=wanted)


def test_copies_that_are_counted_again_are_named() -> None:
    rows = [record(name, label) for name, label in (("a", "n1"), ("b", "n1"), ("c", "n2"), ("d", "n2"), ("e", "n2"))]
    subjects = [Subject(row, Path(row.path), 0) for row in rows]

    def said(*pictures: int) -> list[str]:
        return copies_note(subjects, Units(np.zeros(5, np.int64), np.array(pictures, np.int64)))

    assert said(0, 1, 2, 3, 4) == []
    (line,) = said(0, 0, 2, 3, 4)
    assert "as copies: 1 (" in line
    (line,) = said(0, 1, 1, 3, 3)
    assert "as copies: 2; under different labels: 1" in line
