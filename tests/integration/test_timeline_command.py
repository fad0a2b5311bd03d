"""``--html`` of ``animals predict`` and ``animals convert``: the events of a run as a page."""

from __future__ import annotations

import os
import re
import shutil
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

pytest.importorskip("jinja2")

from animal_classification.cli.main import main
from tests.support.tiny_bundle import write_tiny_bundle
from tests.support.trail_photos import jpeg, put, taken

Capture = pytest.CaptureFixture[str]
NOON = datetime(2026, 5, 1, 12)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_bundle(tmp_path_factory.mktemp("model") / "tiny"))


@pytest.fixture
def cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for number in range(3):
        put(tmp_path, f"cards/A/{number}.jpg", taken(NOON + number * timedelta(minutes=1), str(number)))
    put(tmp_path, "cards/A/dateless.jpg", jpeg(picture="later"))
    put(tmp_path, "cards/B/broken.jpg", b"no photo")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cards"


def test_predict_makes_a_page_of_every_event(cards: Path, model: str, capsys: Capture) -> None:
    assert main(["predict", "cards", "--model", model, "-o", "x.csv", "--html", "page.html"]) == 0
    page = Path("page.html").read_text(encoding="utf-8")
    assert page.count("<article ") == 3
    assert len(re.findall("<li[ >]", page)) == 5, "every file is in it, also the dateless and the broken"
    assert "3 events -> page.html" in capsys.readouterr().err


def test_convert_makes_it_again_also_when_the_photos_are_gone(cards: Path, model: str, capsys: Capture) -> None:
    assert main(["predict", "cards", "--model", model, "-o", "x.csv", "--html", "page.html", "-q"]) == 0
    first = Path("page.html").read_text(encoding="utf-8")
    assert main(["convert", "x.csv", "--html", "page.html"]) == 0
    assert Path("page.html").read_text(encoding="utf-8") == first, "the same bytes, in place of the earlier page"
    shutil.move("cards", "elsewhere")
    assert main(["convert", "x.csv", "--event-gap", "30s", "--html", "page.html"]) == 0
    page = Path("page.html").read_text(encoding="utf-8")
    assert page.count("<img ") == 0
    assert page.count("<article ") == 5


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names of files are UTF-8 there")
def test_a_photo_whose_name_is_no_utf8_is_on_the_page(tmp_path: Path, model: str) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    put(tmp_path, f"{folder.name}/1\udce9.jpg", taken(NOON, "1"))
    page = tmp_path / "page.html"
    assert main(["predict", str(folder), "--model", model, "-o", str(tmp_path / "x.csv"), "--html", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert text.count("data:image/jpeg") == 1
    assert r"caf\xe9" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-o", "x.csv", "--html", "page.txt"], "does not end in .html"),
        (
            ["-o", "x.csv", "--html", "mine.html"],
            "is there, and no page that animals wrote: give another name, or --overwrite",
        ),
        (["--html", "page.html"], "name it with --output"),
        (["-o", "x.csv", "--html", "cards"], "does not end in .html"),
    ],
)
def test_a_page_that_cannot_be_is_refused_before_any_work(
    words: list[str], message: str, cards: Path, model: str, capsys: Capture
) -> None:
    mine = put(cards.parent, "mine.html", b"<!DOCTYPE html>\n<title>a letter</title>")
    assert main(["predict", "cards", "--model", model, *words]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert mine.read_bytes() == b"<!DOCTYPE html>\n<title>a letter</title>"
    assert not Path("x.csv").exists()
