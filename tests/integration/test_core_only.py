"""The core without any extra: what it must do, and what it says of the rest. The extras are hidden from the import."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.test_train import COLOURS, draw
from tests.support.tiny_bundle import write_tiny_bundle

EXTRAS = ("alembic", "mlflow", "openvino", "sqlalchemy")
PROGRAM = """
import json, sys
sys.modules.update(dict.fromkeys({hidden}))
from animal_classification.cli.main import main
for words in json.loads(sys.argv[1]):
    print("exit code", main(words), file=sys.stderr, flush=True)
print("an engine is loaded:", "onnxruntime" in sys.modules)
"""
# The extra, what of it the line names, and a command that needs it. Of the photos, models and folders named here, only
# an empty photo.jpg is there.
REFUSED = [
    ("mlflow", "the model registry", ["models", "list"]),
    ("mlflow", "the model registry", ["predict", "photo.jpg", "--model", "zoo@production"]),
    ("mlflow", "the model registry", ["export", "zoo@production", "--to", "int8", "-o", "out"]),
    ("mlflow", "tracking with mlflow", ["train", "data.path=nowhere", "tracking=mlflow"]),
    ("mlflow", "tracking.register=true", ["train", "data.path=nowhere", "tracking=csv", "tracking.register=true"]),
    ("openvino", "the engine openvino", ["predict", "photo.jpg", "--engine", "openvino"]),
    ("openvino", "the engine openvino", ["evaluate", "nowhere", "nowhere", "--engine", "openvino"]),
    ("openvino", "--to openvino", ["export", "nowhere", "--to", "openvino", "-o", "out"]),
    ("serve", "the prediction log", ["monitor", "status"]),
    ("serve", "the prediction log", ["monitor", "clear", "--yes"]),
    ("serve", "animals up", ["up"]),
    ("serve", "animals serve", ["serve", "--prediction-log"]),
]


def run(folder: Path, *commands: list[str], hidden: tuple[str, ...] = EXTRAS) -> subprocess.CompletedProcess[str]:
    """Run commands one after the other, in a process that cannot import ``hidden``."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(hidden=hidden), json.dumps(commands)],
        cwd=folder,
        env={**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "XDG_DATA_HOME": str(folder / "data")},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


@pytest.mark.usefixtures("unmeasured")
def test_it_names_animals_and_trains_a_probe(tmp_path: Path) -> None:
    tiny = write_tiny_bundle(tmp_path / "tiny", names=("red", "green", "blue"))
    draw(tmp_path / "photos", dict.fromkeys(COLOURS, 12))
    ran = run(
        tmp_path,
        ["train", "data.path=photos", "recipe=probe", f"backbone.bundle={tiny}"],
        ["predict", "photos", "--model", str(tiny), "--output", "table.csv"],
    )
    assert ran.stderr.count("exit code 0") == 2, ran.stderr
    [folder] = (tmp_path / "runs").iterdir()  # and no mlflow.db beside it
    assert (folder / "bundle" / "bundle.json").is_file()
    assert (folder / "metrics.csv").is_file()
    assert not [line for line in ran.stderr.splitlines() if "stopped" in line or "registered" in line]
    assert len((tmp_path / "table.csv").read_text(encoding="utf-8").splitlines()) == 37


@pytest.mark.usefixtures("unmeasured")
def test_what_needs_an_extra_names_it_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    ran = run(tmp_path, *(words for _, _, words in REFUSED))
    said = ran.stderr.splitlines()
    assert said[1::2] == ["exit code 2"] * len(REFUSED)
    for (extra, feature, words), line in zip(REFUSED, said[::2], strict=True):
        assert line.startswith(f"animals: {feature} needs an extra: pip install "), words
        assert line.endswith(f'[{extra}]"'), words
    assert ran.stdout == "an engine is loaded: False\n"
    assert {path.name for path in tmp_path.iterdir()} <= {"photo.jpg", "cache", "data"}


@pytest.mark.usefixtures("unmeasured")
def test_a_server_needs_an_extra_for_registered_models_alone(tmp_path: Path) -> None:
    words = ["serve", "--port", "0", "--model"]
    ran = run(tmp_path, [*words, "zoo@production"], [*words, "nowhere"], hidden=("mlflow", "openvino"))
    registered, _, folder, _ = ran.stderr.splitlines()
    assert registered.startswith("animals: the model registry needs an extra: pip install ")
    assert "needs an extra" not in folder
