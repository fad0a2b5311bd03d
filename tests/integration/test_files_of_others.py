"""No command replaces a file that it would not have written itself, and each says so before it works."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("jinja2")

from animal_classification.cli.main import main
from animal_classification.data.sources.reader import read_source
from animal_classification.report.page import refuse_foreign_page
from tests.unit.data.drawing import draw_classes

Capture = pytest.CaptureFixture[str]
OTHERS_PAGE = b"<!DOCTYPE html>\n<html lang='de'><title>Our garden</title></html>\n"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_classes(tmp_path_factory.mktemp("photos"), {"cat": 2, "dog": 2})


@pytest.mark.parametrize(
    "words",
    [
        ["data", "inspect", "PHOTOS", "--no-embed", "--html", "MINE"],
        ["data", "clean", "PHOTOS", "--no-embed", "-o", "MINE"],
        ["data", "split", "PHOTOS", "-o", "MINE"],
        ["monitor", "drift", "PHOTOS", "--html", "MINE"],
        ["evaluate", "photos", "PHOTOS", "--report", "MINE"],
        ["evaluate", "photos", "PHOTOS", "-o", "MINE"],
        ["report", "html", "photos", "--data", "PHOTOS", "-o", "MINE"],
        ["report", "html", "TEXT", "-o", "MINE"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_a_file_of_somebody_else_stays(words: list[str], photos: Path, tmp_path: Path, capsys: Capture) -> None:
    mine, text = tmp_path / "mine.html", tmp_path / "text.md"
    mine.write_bytes(OTHERS_PAGE)
    text.write_text("# A report\n", encoding="utf-8")
    places = {"PHOTOS": str(photos), "MINE": str(mine), "TEXT": str(text)}
    assert main([places.get(word, word) for word in words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "mine.html' is there, and no " in line
    assert mine.read_bytes() == OTHERS_PAGE


def test_a_readme_beside_a_page_is_no_model_card(photos: Path, tmp_path: Path, capsys: Capture) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("# Our zoo\n", encoding="utf-8")
    assert main(["evaluate", "photos", str(photos), "--report", str(tmp_path / "README.html")]) == 2
    assert "README.md' is there, and no model card that animals wrote" in capsys.readouterr().err
    assert readme.read_text(encoding="utf-8") == "# Our zoo\n"


def test_labels_are_not_replaced_by_their_manifest(photos: Path, tmp_path: Path, capsys: Capture) -> None:
    shutil.copytree(photos, tmp_path / "photos")
    labels = tmp_path / "labels.csv"
    rows = (f"{path.relative_to(tmp_path)},{path.parent.name}\n" for path in sorted(tmp_path.glob("photos/*/*")))
    labels.write_text("path,label\n" + "".join(rows), encoding="utf-8")
    before = labels.read_bytes()
    assert main(["data", "split", str(labels), "-o", str(labels)]) == 2
    assert "is there, and no manifest that animals wrote" in capsys.readouterr().err
    assert labels.read_bytes() == before


def test_our_own_files_are_made_again(photos: Path, tmp_path: Path) -> None:
    page, manifest = tmp_path / "page.html", tmp_path / "manifest.parquet"
    for empty in (page, manifest):
        empty.touch()
    for _ in range(2):
        assert main(["data", "inspect", str(photos), "--no-embed", "--html", str(page)]) == 0
        assert main(["data", "split", str(photos), "-o", str(manifest)]) == 0
    assert len(read_source(manifest)) == 4


@pytest.mark.parametrize("template", ["cycle", "drift", "report", "text", "timeline"])
def test_every_page_of_ours_is_known_again(template: str, tmp_path: Path) -> None:
    import animal_classification.report as package

    source = (Path(package.__path__[0]) / "templates" / f"{template}.html.j2").read_text(encoding="utf-8")
    page = tmp_path / "page.html"
    page.write_text(source[source.index("<!doctype") :], encoding="utf-8")
    refuse_foreign_page(page)
