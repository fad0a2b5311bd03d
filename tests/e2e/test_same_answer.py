"""What a person is told of a photo is the same wherever it is told: eight places, for a group and for no animal."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

import httpx
from PIL import Image

from animal_classification.serving.ui.pages import example_path
from tests.e2e.serving import Server, wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# The model is not sure of the breed, and says so; the label is "Egyptian mau".
ANSWERS = {"tom.jpg": "domestic cat", "cup.jpg": "not an animal"}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two of the page's samples under other names and other bytes, since samples are not reviewed."""
    folder = tmp_path_factory.mktemp("photos")
    for sample, name in (("cat", "tom.jpg"), ("coffee", "cup.jpg")):
        with Image.open(example_path(sample)) as image:
            image.save(folder / name, quality=95)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server("--keep-photos", "thumbnail", folder=tmp_path_factory.mktemp("server"))
    yield server
    server.kill()


def predict(*words: object) -> list[str]:
    return [sys.executable, "-m", "animal_classification.cli", "predict", *map(str, words)]


def test_table_and_summary(photos: Path, tmp_path: Path) -> None:
    done = subprocess.run(predict(photos, "--output", tmp_path / "t.csv"), capture_output=True, text=True, check=True)
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["path"]: row["answer"] for row in rows} == ANSWERS
    assert {line.strip().rsplit("  ", 1)[0].strip() for line in done.stderr.splitlines()[1:]} == set(ANSWERS.values())
    again = predict(photos, "--output", tmp_path / "t.csv", "--resume")
    resumed = subprocess.run(again, capture_output=True, text=True, check=True)
    assert resumed.stderr.splitlines()[1:] == done.stderr.splitlines()[1:]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_screen(photos: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    with subprocess.Popen(predict(photos), stdout=theirs, stderr=subprocess.DEVNULL) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other side is closed
                break
            if not part:
                break
            shown += part
        assert process.wait() == 0
    os.close(ours)
    lines = shown.decode("utf-8").splitlines()
    for name, answer in ANSWERS.items():
        assert any(name in line and answer in line for line in lines), lines


def test_page_download_review_monitor_and_api(chromium: Browser, server: Server, photos: Path) -> None:
    context = chromium.new_context(accept_downloads=True)
    page = context.new_page()
    page.goto(server.address)
    page.set_input_files("input[type=file]", [str(photos / name) for name in ANSWERS])
    page.get_by_role("link", name="Download the table (CSV)").wait_for()
    cards = page.locator("#answer").inner_text().casefold()
    assert "domestic cat" in cards
    assert "no animal found" in cards, "in the page's own words"
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the table (CSV)").click()
    with Path(download.value.path()).open(encoding="utf-8-sig", newline="") as file:
        assert {row["path"]: row["answer"] for row in csv.DictReader(file)} == ANSWERS

    files = [("files", (name, (photos / name).read_bytes())) for name in ANSWERS]
    entries = httpx.post(f"{server.address}/v1/predict", files=files, timeout=60).json()["predictions"]
    assert {entry["file"]: entry["answer"]["name"] for entry in entries} == ANSWERS

    def waiting() -> dict[str, str] | None:
        found = httpx.get(f"{server.address}/v1/review", timeout=60).json()["predictions"]
        return {item["file"]: item["answer"] for item in found} if len(found) == len(ANSWERS) else None

    assert wait_for(waiting, "the review", lambda: server.output) == ANSWERS
    page.goto(f"{server.address}/review")
    page.locator("#item-name").wait_for()
    first = page.locator("#facts").inner_text().split(" · ")[0]
    seen = {}
    for name in sorted(ANSWERS, key=lambda name: name != first):
        page.locator("#facts", has_text=name).wait_for()
        seen[name] = page.locator("#item-name").inner_text().casefold()
        page.keyboard.press("ArrowRight")
    assert seen == ANSWERS

    status = httpx.get(f"{server.address}/v1/monitor", timeout=60).json()
    assert [one["label"] for one in status["labels"]] == ["domestic cat"]
    assert status["unknown"]
    page.goto(f"{server.address}/monitor")
    page.locator("strong", has_text="domestic cat").wait_for()
    context.close()
