"""The pages "Add a recipe", "Add a source" and "Add a writer": done to a copy of the package, what they say works."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.unit.data.drawing import draw_classes
from tests.unit.test_project_files import PACKAGE, ROOT

PAGES = ROOT / "docs" / "extend"
_FENCE = re.compile(
    r'^```(?P<kind>python|yaml|diff) title="(?P<path>[^"]+)"\n(?P<text>.*?)^```', re.MULTILINE | re.DOTALL
)
_TOOLS = Path(sys.executable).parent


def edited(text: str, diff: str) -> str:
    """A text with a diff done to it, whose hunks are divided by empty lines and say no line numbers."""
    for hunk in diff.rstrip("\n").split("\n\n"):
        lines = hunk.split("\n")
        old = "\n".join(line[1:] for line in lines if line[0] in " -")
        new = "\n".join(line[1:] for line in lines if line[0] in " +")
        assert text.count(old) == 1, f"this is there {text.count(old)} times:\n{old}"
        text = text.replace(old, new)
    return text


def follow(page: str, tree: Path) -> list[Path]:
    """Do what a page says to a copy of the package and its configuration; returns the modules that are new."""
    shutil.copytree(PACKAGE, tree / "src" / "animal_classification", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "pyproject.toml", tree / "pyproject.toml")
    new = []
    for fence in _FENCE.finditer((PAGES / page).read_text(encoding="utf-8")):
        path = tree / fence["path"]
        if fence["kind"] == "diff":
            path.write_text(edited(path.read_text(encoding="utf-8"), fence["text"]), encoding="utf-8")
            continue
        assert not path.exists(), f"{fence['path']} is there already"
        path.write_text(fence["text"], encoding="utf-8")
        new += [path] if path.suffix == ".py" else []
    assert new, f"{page} adds no module"
    return new


def animals(tree: Path, *words: object) -> str:
    """What the changed program prints on stdout."""
    done = subprocess.run(
        [sys.executable, "-m", "animal_classification.cli", *map(str, words)],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree / "src"), "XDG_CACHE_HOME": str(tree / "cache")},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def lint(tree: Path, files: list[Path]) -> None:
    """What a page shows follows the project's own rules."""
    ruff = str(_TOOLS / "ruff")
    for words in (["check"], ["format", "--check"]):
        done = subprocess.run([ruff, *words, *map(str, files)], cwd=tree, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def shades(folder: Path, count: int) -> None:
    """Photos of three classes, each in shades of a colour, no two alike."""
    random = np.random.default_rng(0)
    for name, colour in {"fox": (200, 90, 30), "frog": (40, 160, 50), "whale": (40, 60, 150)}.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = np.array(colour) + random.normal(0, 12, (64, 64, 3)) + random.normal(0, 10, 3)
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / name / f"{number}.png")


@pytest.fixture
def tree(tmp_path: Path, unmeasured: None) -> Path:
    return tmp_path


def test_a_recipe_can_be_added(tree: Path) -> None:
    lint(tree, follow("recipe.md", tree))
    shades(tree / "photos", 12)
    words = ("recipe=prototypes", "data.path=photos", "tracking=none")
    said = json.loads(animals(tree, "train", *words, "--json"))
    assert said["accuracy"] == 1.0
    rows = json.loads(animals(tree, "predict", "photos/frog", "--model", said["bundle"], "--format", "json"))
    assert [row["label"] for row in rows] == ["frog"] * 12
    assert "temperature: 0.5" in animals(tree, "train", *words, "recipe.temperature=0.5", "--cfg")


def test_a_source_can_be_added(tree: Path) -> None:
    lint(tree, follow("source.md", tree))
    draw_classes(tree / "drawn", {"fox": 3, "frog": 2})
    (tree / "photos").mkdir()
    for photo in (tree / "drawn").glob("*/*"):
        photo.rename(tree / "photos" / f"{photo.parent.name}_{photo.name}")
    shutil.copyfile(next((tree / "photos").iterdir()), tree / "photos" / "nameless.png")
    animals(tree, "data", "split", "photos", "--kind", "filenames", "-o", "split.parquet")
    said = json.loads(animals(tree, "data", "inspect", "photos", "--kind", "filenames", "--no-embed", "--json"))
    assert sorted(said["classes"]) == ["fox", "frog"]
    assert said["usable"] == 5
    assert any("1 photos have no label" in note for note in said["notes"])


def test_a_writer_can_be_added(tree: Path) -> None:
    lint(tree, follow("writer.md", tree))
    draw_classes(tree / "photos", {"fox": 2, "frog": 1})
    animals(tree, "predict", "photos", "--output", "animals.tsv")
    head, *rows = (tree / "animals.tsv").read_text(encoding="utf-8").splitlines()
    assert head.split("\t")[:2] == ["path", "answer"]
    assert [row.split("\t")[0] for row in rows] == sorted(row.split("\t")[0] for row in rows)
    assert len(rows) == 3
    before = (tree / "animals.tsv").read_bytes()
    animals(tree, "predict", "photos", "--output", "animals.tsv", "--resume")
    assert (tree / "animals.tsv").read_bytes() == before


def test_a_page_that_is_behind_the_code_is_noticed() -> None:
    assert edited("a\nb\nc\n", " a\n-b\n+x\n\n-c\n") == "a\nx\n\n"
    with pytest.raises(AssertionError, match="0 times"):
        edited("a\n", "-b\n")
    with pytest.raises(AssertionError, match="2 times"):
        edited("b\nb\n", "-b\n+c\n")
