"""The manifest: what it counts, what its version depends on, and that it comes back from disk as it was."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animal_classification.data import Manifest, ManifestRow, read_source
from animal_classification.data.sources import SourceOptions
from animal_classification.errors import OutputError, UsageError
from tests.unit.data.drawing import draw_classes

words = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)
records = st.builds(
    ManifestRow,
    path=words,
    label=words,
    split=st.sampled_from(["train", "val", "test", None]),
    group=st.none() | words,
    sha256=st.none() | st.text("0123456789abcdef", min_size=64, max_size=64),
    width=st.none() | st.integers(1, 100_000),
    height=st.none() | st.integers(1, 100_000),
    bytes=st.none() | st.integers(0, 1 << 40),
    problem=st.none() | words,
)


@settings(max_examples=20, deadline=None)
@given(rows=st.lists(records, max_size=5), empty=st.lists(words, max_size=2))
def test_it_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, rows: list[ManifestRow], empty: list[str]
) -> None:
    file = tmp_path_factory.mktemp("manifest") / "it's [1].parquet"
    manifest = Manifest.of(rows, file.parent, empty_classes=empty)
    manifest.write(file)
    again = Manifest.read(file)
    assert again.rows == manifest.rows
    assert again.empty_classes == manifest.empty_classes
    assert again.version == manifest.version


ROWS = tuple(ManifestRow(path=f"{i}.png", label="ab"[i % 2], sha256=f"{i:064x}") for i in range(6))


def test_the_version_is_that_of_the_content() -> None:
    manifest = Manifest.of(ROWS, Path("/one"))
    shuffled = list(ROWS)
    random.Random(0).shuffle(shuffled)
    assert Manifest.of(shuffled, Path("/another")).version == manifest.version
    assert manifest.with_rows(replace(row, path=f"x/{row.path}") for row in ROWS).version == manifest.version


@pytest.mark.parametrize(
    "change", [{"label": "c"}, {"split": "test"}, {"group": "g"}, {"sha256": "f" * 64}, {"problem": "p"}]
)
def test_the_version_changes_with_the_content(change: dict[str, str]) -> None:
    manifest = Manifest.of(ROWS, Path())
    assert manifest.with_rows([replace(ROWS[0], **cast("Any", change)), *ROWS[1:]]).version != manifest.version
    assert manifest.with_rows(ROWS[1:]).version != manifest.version


def test_photos_are_found_when_both_have_moved(tmp_path: Path) -> None:
    here = tmp_path / "here"
    manifest = read_source(draw_classes(here / "photos", {"cat": 1, "dog": 1}), SourceOptions(cache=tmp_path / "cache"))
    manifest.write(here / "manifest.parquet")
    shutil.move(here, tmp_path / "there")
    again = Manifest.read(tmp_path / "there" / "manifest.parquet")
    assert all(again.file(row).is_file() for row in again)
    shutil.move(tmp_path / "there" / "photos", tmp_path / "elsewhere")
    apart = Manifest.read(tmp_path / "there" / "manifest.parquet", root=tmp_path / "elsewhere")
    assert all(apart.file(row).is_file() for row in apart)


def test_counts() -> None:
    rows = [replace(ROWS[0], split="train"), replace(ROWS[1], problem="broken"), *ROWS[2:]]
    manifest = Manifest.of(rows, Path())
    assert manifest.counts() == {"a": {"train": 1, "": 2}, "b": {"": 2}}
    assert len(manifest.usable) == 5


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such manifest"):
        Manifest.read(tmp_path / "nothing.parquet")
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises(UsageError, match="is not Parquet"):
        Manifest.read(tmp_path / "text.parquet")
    with pytest.raises(OutputError, match="it is a folder"):
        Manifest.of(ROWS, tmp_path).write(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        Manifest.of(ROWS, tmp_path).write(tmp_path / "file" / "m.parquet")
    assert not list(tmp_path.glob(".*.tmp"))
