"""What ``animals predict`` looks at again, and what it never replaces."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from animal_classification.cli.main import main
from tests.support.predicting import PHOTOS, read
from tests.support.tiny_bundle import write_tiny_bundle


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a", "b", "c"):
        (folder / f"{name}.jpg").write_bytes(PHOTOS["cat"])
    (folder / "half.jpg").write_bytes(PHOTOS["dog"][:300])
    return folder


def predict(photos: Path, model: Path, output: Path, *words: str) -> int:
    return main(["predict", str(photos), "--model", str(model), "--output", str(output), "--quiet", *words])


def labels(output: Path) -> dict[str, str | None]:
    rows = read(output)
    assert len({row["path"] for row in rows}) == len(rows)
    return {row["path"]: row["label"] or None for row in rows}


@pytest.mark.parametrize("ending", ["csv", "jsonl", "json", "parquet"])
def test_a_file_that_was_replaced_under_its_name_is_looked_at_again(
    tmp_path: Path, photos: Path, model: Path, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / f"x.{ending}"
    assert predict(photos, model, output) == 0
    before = (photos / "b.jpg").stat()
    new = tmp_path / "new.jpg"
    new.write_bytes(PHOTOS["lion"])
    os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns - 10**12))  # as a card's file, older than the table
    new.replace(photos / "b.jpg")
    (photos / "d.jpg").write_bytes(PHOTOS["dog"])
    assert predict(photos, model, output, "--resume", "--json") == 0
    assert labels(output) == {"a.jpg": "cat", "b.jpg": "lion", "c.jpg": "cat", "d.jpg": "dog", "half.jpg": None}
    told = json.loads(capsys.readouterr().out)
    assert told["photos"] == 5
    assert told["animals"] == {"cat": 2, "lion": 1, "dog": 1}
    assert list(labels(output))[:3] == ["a.jpg", "b.jpg", "c.jpg"]  # in the place of the old row
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", output.name]


def test_nothing_else_is_looked_at_again(
    tmp_path: Path, photos: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "x.csv"
    assert predict(photos, model, output) == 0
    first = output.read_bytes()
    monkeypatch.setattr("animal_classification.inference.classifier.Classifier.prepare", None)
    assert predict(photos, model, output, "--resume") == 0
    assert output.read_bytes() == first


def test_photos_that_could_not_be_read_are_tried_again_on_request(tmp_path: Path, photos: Path, model: Path) -> None:
    output = tmp_path / "x.csv"
    assert predict(photos, model, output) == 0
    state = (photos / "half.jpg").stat()
    (photos / "half.jpg").write_bytes(PHOTOS["dog"])
    later = output.stat().st_mtime_ns + 10**12
    os.utime(output, ns=(later, later))  # so that the change is not what it is tried again for
    os.utime(photos / "half.jpg", ns=(state.st_atime_ns, state.st_mtime_ns))
    assert predict(photos, model, output, "--resume") == 0
    assert labels(output)["half.jpg"] is None
    os.utime(output, ns=(later, later))
    assert predict(photos, model, output, "--resume", "--retry-errors") == 0
    assert labels(output)["half.jpg"] == "dog"
    assert predict(photos, model, output, "--retry-errors") == 2


@pytest.mark.parametrize("name", ["diary.csv", "x.json", "x.jsonl", "x.parquet"])
def test_somebody_elses_file_is_not_replaced(
    tmp_path: Path, photos: Path, model: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / name
    output.write_text('{"path": "mine"}\n' if name.endswith("l") else "date,entry\n2026-11-29,rain\n", encoding="utf-8")
    before = output.read_bytes()
    for words in ((), ("--resume",)):
        assert predict(photos, model, output, *words) == 2
        assert output.read_bytes() == before
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["photos", name])
    assert predict(photos, model, output, "--resume", "--overwrite") == 2
    capsys.readouterr()
    assert predict(photos, model, output) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert predict(photos, model, output, "--overwrite") == 0
    assert len(labels(output)) == 4
    assert predict(photos, model, output) == 0  # our own is replaced as ever


def test_labels_of_a_foreign_model_are_no_formulas(tmp_path: Path, photos: Path) -> None:
    evil = '=HYPERLINK("http://localhost/?"&A1)'
    model = write_tiny_bundle(tmp_path / "evil", names=(evil, "dog", "+lion"))
    output = tmp_path / "x.csv"
    assert predict(photos, model, output) == 0
    cells = [cell for line in output.read_text(encoding="utf-8").splitlines()[1:] for cell in line.split(",")]
    assert not [cell for cell in cells if cell.strip('"').startswith(("=", "+"))]
    (photos / "d.jpg").write_bytes(PHOTOS["lion"])
    assert predict(photos, model, output, "--resume") == 0
    assert f'"\'{evil.replace(chr(34), chr(34) * 2)}"' in output.read_text(encoding="utf-8")
