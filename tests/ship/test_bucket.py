"""`gs://` for data, bundles and results, on an emulated bucket."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from animal_classification import Classifier, bundle
from animal_classification.cli.main import main
from tests.unit.data.drawing import draw, draw_classes

# gcsfs hands aiohttp a model's nine megabytes at once.
pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")

gcsfs = pytest.importorskip("gcsfs")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_photos_are_read_where_they_are(bucket: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = draw_classes(tmp_path / "photos", {"fox": 3, "frog": 3})
    gcsfs.GCSFileSystem().put(str(here), f"{bucket}/data/photos", recursive=True)
    assert main(["data", "version", f"{bucket}/data/photos"]) == 0
    there = capsys.readouterr().out
    assert main(["data", "version", str(here)]) == 0
    assert capsys.readouterr().out == there


def test_models_are_written_and_read_there(bucket: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    built_in = bundle.load("photos")
    files = {name: (built_in.path / name) for name in built_in.info.files}
    written = bundle.write(f"{bucket}/models/photos/1", built_in.info, files)
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    photo = draw(tmp_path / "clouds.png", 5)
    name = Classifier.load(f"{bucket}/models/photos/1").predict(photo).label
    assert name == Classifier.load("photos").predict(photo).label
    assert written.info.name == "photos"
    assert main(["predict", str(photo), "--model", f"{bucket}/models/photos/1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)


def test_a_damaged_model_there_is_refused(bucket: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    built_in = bundle.load("photos")
    bundle.write(
        f"{bucket}/models/photos/2", built_in.info, {name: built_in.path / name for name in built_in.info.files}
    )
    gcsfs.GCSFileSystem().pipe_file(f"{bucket}/models/photos/2/model.onnx", b"something else")
    shutil.rmtree(tmp_path / "cache")
    assert main(["predict", str(draw(tmp_path / "a.png", 1)), "--model", f"{bucket}/models/photos/2"]) == 1
    assert "model.onnx: its sha256 is" in capsys.readouterr().err
