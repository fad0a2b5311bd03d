"""The DVC pipeline of examples/pipeline, with real DVC: what reruns, and what a second clone gets."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.data.drawing import draw_classes, picture

pytest.importorskip("dvc")
pytestmark = [pytest.mark.nightly, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "pipeline"
STAGES = ["get", "clean", "split", "train", "evaluate", "export"]
BIN = Path(sys.executable).parent


class Clone:
    """A git checkout with the pipeline in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self, *words: str) -> str:
        quiet = {
            "DVC_NO_ANALYTICS": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        }
        done = subprocess.run(
            words, cwd=self.path, env={**os.environ, **quiet}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def repro(self) -> list[str]:
        """The stages that ran."""
        return re.findall(r"^Running stage '(.*)'", self.run("dvc", "repro"), re.MULTILINE)

    def commit(self) -> None:
        self.run("git", "add", "--all")
        self.run(
            "git", "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--quiet", "--message", "state"
        )

    def metrics(self) -> dict[str, Any]:
        measured: dict[str, Any] = json.loads((self.path / "metrics/evaluation.json").read_text(encoding="utf-8"))
        return {name: value for name, value in measured.items() if name != "seconds"}

    def change(self, photo: str) -> None:
        picture(777).save(self.path / photo)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, bucket: str) -> Clone:
    """The pipeline, run once, committed, and pushed."""
    folder = tmp_path_factory.mktemp("dvc")
    clone = Clone(folder / "first")
    shutil.copytree(EXAMPLE, clone.path)
    draw_classes(clone.path / "photos", {"fox": 12, "frog": 12, "whale": 12})
    draw_classes(clone.path / "things", {"chair": 4})
    clone.run("git", "init", "--quiet")
    clone.run("dvc", "init", "--quiet")
    clone.run("dvc", "remote", "add", "--default", "cloud", f"{bucket}/dvc")
    clone.run("dvc", "remote", "add", "disk", str(folder / "remote"))
    clone.run("dvc", "add", "--quiet", "photos", "things")
    assert clone.repro() == STAGES
    clone.commit()
    return clone


def test_a_second_run_does_nothing(first: Clone) -> None:
    assert first.repro() == []


@pytest.mark.parametrize("remote", ["cloud", "disk"])
def test_a_second_clone_gets_the_same(first: Clone, tmp_path: Path, remote: str) -> None:
    first.run("dvc", "push", "--quiet", "--remote", remote)
    second = Clone(tmp_path / "second")
    first.run("git", "clone", "--quiet", str(first.path), str(second.path))
    assert not (second.path / "photos").exists()
    second.run("dvc", "pull", "--quiet", "--remote", remote)
    assert second.repro() == []
    assert (second.path / "model/bundle.json").read_bytes() == (first.path / "model/bundle.json").read_bytes()
    if remote == "cloud":
        (second.path / "metrics/evaluation.json").unlink()
        second.run("dvc", "repro", "--force", "--single-item", "evaluate")
        assert second.metrics() == first.metrics()


def test_only_what_depends_on_a_change_runs_again(first: Clone, tmp_path: Path) -> None:
    clone = Clone(tmp_path / "work")
    first.run("git", "clone", "--quiet", str(first.path), str(clone.path))
    first.run("dvc", "push", "--quiet", "--remote", "disk")
    clone.run("dvc", "pull", "--quiet", "--remote", "disk")
    clone.change("things/chair/0.png")
    assert clone.repro() == ["evaluate"]
    parameters = clone.path / "params.yaml"
    parameters.write_text(
        parameters.read_text(encoding="utf-8").replace("max_drop: 0.5", "max_drop: 50"), encoding="utf-8"
    )
    assert clone.repro() == ["export"]
    clone.change("photos/fox/0.png")
    assert clone.repro() == STAGES
    assert clone.repro() == []
    assert "recall" in clone.run("dvc", "plots", "show", "--json")


def script(name: str, clone: Clone, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHON_BIN": str(BIN), "GIT_CONFIG_GLOBAL": os.devnull, **variables}
    return subprocess.run(
        [str(ROOT / "tools/ci" / name), *words],
        cwd=clone.path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_change_of_data_is_told_as_the_workflow_tells_it(first: Clone, tmp_path: Path) -> None:
    first.run("dvc", "push", "--quiet", "--remote", "cloud")
    clone = Clone(tmp_path / "work")
    first.run("git", "clone", "--quiet", str(first.path), str(clone.path))
    clone.run("dvc", "pull", "--quiet", "photos.dvc")
    (clone.path / "photos/fox/0.png").rename(clone.path / "photos/frog/moved.png")
    (clone.path / "photos/whale/1.png").unlink()
    clone.run("dvc", "add", "--quiet", "photos")
    clone.commit()
    done = script("data_changed.sh", clone, "HEAD~1", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    told = (tmp_path / "out/comment.md").read_text(encoding="utf-8")
    assert "### photos" in told
    assert "things" not in told
    assert "| whale | 12 | 11 | 0 | 1 |" in told
    assert "1 photo changed the class:" in told
    assert (tmp_path / "out/photos.html").is_file()
    assert clone.run("git", "worktree", "list").count("\n") == 1


def test_a_promoted_model_is_judged_as_the_workflow_judges_it(first: Clone, tmp_path: Path) -> None:
    settings, data = str(ROOT / "deploy/example.yaml"), "out/split.parquet"
    good = script(
        "promoted.sh",
        first,
        "model",
        data,
        str(tmp_path / "good"),
        MIN_ACCURACY="0",
        SETTINGS=settings,
        SECONDS_OF_LOAD="1",
    )
    assert good.returncode == 0, good.stderr
    assert "Good enough" in (tmp_path / "good/summary.md").read_text(encoding="utf-8")
    rendered = (tmp_path / "good/rendered/cloudrun/run-service-animals.yaml").read_text(encoding="utf-8")
    assert "value: model\n" in rendered
    assert json.loads((tmp_path / "good/load.json").read_text(encoding="utf-8"))["rows"]
    bad = script("promoted.sh", first, "model", data, str(tmp_path / "bad"), MIN_ACCURACY="1.01", SETTINGS=settings)
    assert bad.returncode == 1
    assert "Not good enough" in (tmp_path / "bad/summary.md").read_text(encoding="utf-8")
