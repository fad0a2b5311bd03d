"""Every fenced shell command of README and tutorials is run as it stands, in the order of the page; or says why not."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.support.fences import fences, run_page
from tests.unit.data.drawing import draw_classes

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
PAGES = ["README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))]
RUN = ["README.md", "docs/tutorials/spreadsheet.md", "docs/tutorials/production.md"]
SLOW = ["docs/pipeline.md", "docs/tutorials/own-model.md"]


def zoo(classes: Path) -> list[str]:
    """The three animals of the pages; among the sample photos lions and two others."""
    names = ["bear", "lion", "shark"]
    return names if all((classes / name).is_dir() for name in names) else sorted(p.name for p in classes.iterdir())[:3]


@pytest.fixture
def folder(tmp_path: Path, photos_dir: Path) -> Path:
    """What the pages speak of: photos/, zoo/, lion.jpg, and the checkout's examples."""
    lions = sorted((photos_dir / "animals22/lion").iterdir())[:3]
    for target in ("photos", "photos/africa"):
        (tmp_path / target).mkdir()
        for photo in lions:
            shutil.copyfile(photo, tmp_path / target / photo.name)
    lion = photos_dir / "imagenet_animals/n02129165_lion.JPEG"
    shutil.copyfile(lion, tmp_path / "photos/lion.jpg")
    shutil.copyfile(lion, tmp_path / "lion.jpg")
    for name in zoo(photos_dir / "animals22"):
        (tmp_path / "zoo" / name).mkdir(parents=True)
        for photo in sorted((photos_dir / "animals22" / name).iterdir())[:14]:
            shutil.copyfile(photo, tmp_path / "zoo" / name / photo.name)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    draw_classes(tmp_path / "examples/pipeline/photos", {"fox": 12, "frog": 12, "whale": 12})
    draw_classes(tmp_path / "examples/pipeline/things", {"chair": 4})
    return tmp_path


@pytest.mark.parametrize("page", PAGES)
def test_what_is_not_run_says_why(page: str) -> None:
    for fence in fences(ROOT / page):
        if fence.word == "not run":
            assert len(fence.what) > 8, fence.text
        else:
            assert page in {*RUN, *SLOW}, f"nobody runs this block; mark it: {fence.text}"


@pytest.mark.photos(samples=True)
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", RUN)
def test_commands_do_what_the_page_says(page: str, folder: Path) -> None:
    assert run_page(ROOT / page, folder, BIN) > 0


@pytest.mark.nightly
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", SLOW)
def test_slow_commands_do_what_the_page_says(page: str, folder: Path) -> None:
    assert run_page(ROOT / page, folder, BIN) > 0
