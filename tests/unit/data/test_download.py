"""Photos copied into a folder of one's own: whatever their source calls them, nothing leaves that folder."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from animal_classification.common.hashes import hash_file
from animal_classification.data.download import MANIFEST, download
from animal_classification.data.manifest import Manifest, ManifestRow
from animal_classification.data.sources import SourceOptions, read_source
from animal_classification.errors import UsageError
from tests.unit.data.drawing import draw


def everything(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


@pytest.mark.parametrize("label", ["../evil", "/{here}/evil", "a/../../evil", "..\\evil"])
def test_a_hostile_archive_writes_nothing_outside(tmp_path: Path, label: str) -> None:
    photo = draw(tmp_path / "a.png", 1)
    row = {"file_name": "../a.png", "label": label.replace("/{here}", str(tmp_path))}
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(photo, "a.png")
        archive.writestr("train/metadata.jsonl", json.dumps(row))
    manifest = read_source(tmp_path / "a.zip", SourceOptions(cache=tmp_path / "cache"))
    assert [one.path for one in manifest.usable] == ["train/../a.png"]
    before = everything(tmp_path)
    with pytest.raises(UsageError, match="leads out of the folder to write") as caught:
        download(manifest, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert everything(tmp_path) == before


def test_a_photo_from_elsewhere_goes_to_its_label(tmp_path: Path) -> None:
    photo = draw(tmp_path / "elsewhere" / "a.png", 1)
    (tmp_path / "root").mkdir()
    digest = hash_file(photo)
    rows = [ManifestRow(path="../elsewhere/a.png", label="Canis: lupus", sha256=digest)]
    copied = download(Manifest.of(rows, tmp_path / "root"), tmp_path / "out")
    assert [row.path for row in copied] == [f"Canis: lupus/{digest[:16]}.png"]
    assert everything(tmp_path / "out") == {MANIFEST, "Canis: lupus", copied.rows[0].path}
