"""Collection: who is let into the data, where, and what is kept out."""

from __future__ import annotations

import csv
import json
import stat
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

from animal_classification.config.compose import tree
from animal_classification.data.manifest import Manifest
from animal_classification.data.scanner import scan
from animal_classification.data.sources.reader import read_source
from animal_classification.data.splitter import SplitPlan, split
from animal_classification.errors import NeedsPersonError
from animal_classification.loop.collection import CollectRequest, collect
from animal_classification.loop.config import CollectConfig
from animal_classification.loop.dvc import track
from animal_classification.loop.labels import LabelledPhoto, Said, SpokenOf
from animal_classification.loop.series import begin_series, newest_series, open_series
from animal_classification.prediction_log.corrections import NO_ANIMAL
from animal_classification.prediction_log.photo_store import PhotoFolder
from tests.unit.data.drawing import draw, draw_classes

NOW = datetime(2026, 11, 30, tzinfo=UTC)


@pytest.fixture
def base(tmp_path: Path) -> Manifest:
    manifest = read_source(draw_classes(tmp_path / "photos", {"cat": 15, "dog": 15}))
    return split(manifest, scan([manifest.file(row) for row in manifest]), SplitPlan()).manifest


class Asked:
    """Builds a request photo by photo."""

    def __init__(self, base: Manifest, folder: Path) -> None:
        self.base, self.folder, self.spoken = base, folder, SpokenOf()
        self.store = PhotoFolder(folder / "kept")

    def add(self, file: Path, label: str, who: str = "", number: int = 1) -> str:
        """A photo that is kept, and what people say of it."""
        photo = f"{len(self.spoken.labelled):064x}"
        self.store.put(photo, file.read_bytes())
        self.spoken.labelled.append(LabelledPhoto(photo=photo, label=label, who=(who,) * bool(who), words=(number,)))
        return photo

    def request(self, *, agreed: bool = True, **rules: object) -> CollectRequest:
        words = ["data=folder", f"data.path={self.base.root}", "recipe=probe", f"data.cache={self.folder / 'cache'}"]
        return CollectRequest(
            cycle="ZOO-0001",
            base=self.base,
            spoken=self.spoken,
            photos=self.store,
            rules=CollectConfig(check_labels=False, **rules),  # type: ignore[arg-type]
            training=tree(words).config(),
            agreed=agreed,
        )


@pytest.fixture
def asked(base: Manifest, tmp_path: Path) -> Asked:
    return Asked(base, tmp_path)


def test_new_photos_join_and_old_rows_stay(asked: Asked, tmp_path: Path) -> None:
    for number in range(12):
        asked.add(draw(tmp_path / f"{number}.png", 5000 + number), "cat", f"r{number}", number)
    asked.add(draw(tmp_path / "tree.png", 6000), NO_ANIMAL, "r", 99)
    asked.spoken.labelled.append(LabelledPhoto(photo="f" * 64, label="cat"))  # not kept any more
    asked.spoken.conflicts.append((Said("e" * 64, "cat", "=ann()", NOW, "p"), Said("e" * 64, "dog", "bob", NOW, "p")))
    done = collect(asked.request())
    manifest = Manifest.read(done.manifest)
    old = {row.path: row for row in asked.base}
    assert {row.path: row for row in manifest if row.path in old} == old
    assert done.facts["added"] == len(manifest) - len(old) == 12
    assert all(manifest.file(row).is_file() for row in manifest)
    assert {row.split for row in manifest if row.path not in old} <= {"train", "fresh"}
    assert (done.facts["no_photo"], done.facts["unknown_photos"], done.facts["conflicts"]) == (1, 1, 1)
    assert done.facts["words"] == [*range(12), 99]
    assert len(list(done.strangers.iterdir())) == 1
    lines = [json.loads(line) for line in (done.folder / "labels.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {line["split"] for line in lines} == {row.split for row in manifest if row.path not in old}
    rows = list(csv.reader((done.folder / "conflict.csv").read_text(encoding="utf-8").splitlines()))
    assert rows[1][2] == "'=ann()"  # no spreadsheet runs it


def test_the_folder_is_no_class_of_the_data(asked: Asked, tmp_path: Path) -> None:
    asked.add(draw(tmp_path / "a.png", 5000), "cat")
    collect(asked.request())
    assert read_source(asked.base.root).classes == ("cat", "dog")


def test_it_is_made_once(asked: Asked, tmp_path: Path) -> None:
    asked.add(draw(tmp_path / "a.png", 5000), "cat")
    first = collect(asked.request())
    asked.add(draw(tmp_path / "b.png", 5001), "cat")
    assert collect(asked.request()).facts == first.facts


def test_copies_of_frozen_photos_stay_out_and_relabelled_ones_are_conflicts(asked: Asked, tmp_path: Path) -> None:
    frozen = next(row for row in asked.base if row.split == "test")
    with Image.open(asked.base.file(frozen)) as photo:
        photo.convert("RGB").save(tmp_path / "again.jpg", quality=92)
    asked.add(tmp_path / "again.jpg", frozen.label)
    train = next(row for row in asked.base if row.split == "train")
    asked.add(asked.base.file(train), "dog" if train.label == "cat" else "cat")
    done = collect(asked.request())
    assert done.facts["added"] == 0
    assert sum(done.facts["refused"].values()) == 2
    assert done.facts["conflicts"] == 1
    assert list((done.folder / "photos").iterdir()) == []


def test_nobody_makes_a_class_alone(asked: Asked, tmp_path: Path) -> None:
    for number in range(9):
        asked.add(draw(tmp_path / f"{number}.png", 5000 + number), "cat", "bob", number)
    with pytest.raises(NeedsPersonError, match=r"9 of 24 photos of 'cat' would be from bob, more than 30%") as caught:
        collect(asked.request(agreed=False))
    assert caught.value.exit_code == 3
    assert not asked.request().folder.exists()
    assert collect(asked.request(agreed=False, most_of_class=0.5)).facts["added"] == 9


def test_series_stay_and_a_new_one_takes_the_fresh_in(asked: Asked, tmp_path: Path) -> None:
    home, request = tmp_path / "loop", asked.request()
    first = open_series(home, request.training)
    before = (first.folder / "frozen.parquet").read_bytes()
    for number in range(30):
        asked.add(draw(tmp_path / f"{number}.png", 5000 + number), "cat", f"r{number}", number)
    done = collect(asked.request())
    assert open_series(home, request.training).frozen().version == first.frozen().version
    assert (first.folder / "frozen.parquet").read_bytes() == before
    second = begin_series(home, Manifest.read(done.manifest))
    assert newest_series(home) == second
    assert len(second.frozen()) == len(first.frozen()) + done.facts["splits"]["fresh"]


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands in for DVC")
def test_dvc_is_told_and_nothing_is_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "photos"
    root.mkdir()
    assert track(root) is None
    (tmp_path / "photos.dvc").write_text("outs: []", encoding="utf-8")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert str(track(root)).startswith("dvc add ")
    program = tmp_path / "bin" / "dvc"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path / "said"}\n', encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    command = str(track(root))
    assert command.startswith("git add ")
    assert (tmp_path / "said").read_text(encoding="utf-8").split() == ["add", "--quiet", str(root)]


def test_a_table_beside_its_photos_is_read_as_a_training_reads_it(tmp_path: Path) -> None:
    """Root and columns count for the frozen photos as well, not for the training alone."""
    draw_classes(tmp_path / "photos", {"cat": 6, "dog": 6})
    names = sorted(path.relative_to(tmp_path / "photos") for path in (tmp_path / "photos").rglob("*.*"))
    lines = "".join(f"{name.as_posix()},{name.parent.name},x\n" for name in names)
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "labels.csv").write_text(f"where,what,label\n{lines}", encoding="utf-8")
    words = [
        "data=folder",
        f"data.path={tmp_path / 'tables' / 'labels.csv'}",
        f"data.root={tmp_path / 'photos'}",
        "data.columns.path=where",
        "data.columns.label=what",
        f"data.cache={tmp_path / 'cache'}",
    ]
    series = open_series(tmp_path / "loop", tree(words).config())
    assert series.frozen().classes == ("cat", "dog")
