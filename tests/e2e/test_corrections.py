"""From a photo that the model has no name for to a model that has: by keyboard, a table, and ``animals train``."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

import httpx
import numpy as np
from PIL import Image

from animal_classification.cli.main import main
from animal_classification.inference import Classifier
from tests.e2e.serving import Server, wait_for
from tests.e2e.test_tabs import left
from tests.support.tiny_bundle import write_tiny_bundle

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

EACH = 12
COLOURS = {"cat": (210, 30, 30), "okapi": (210, 30, 210)}


def draw(folder: Path) -> list[Path]:
    """Photos in shades of a colour, no two alike; the model knows cats and takes an okapi for something else."""
    folder.mkdir()
    paths = []
    for seed, (name, colour) in enumerate(COLOURS.items()):
        for number in range(EACH):
            noise = np.random.default_rng(1000 * seed + number).integers(-30, 30, (12, 12, 3))
            pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            paths.append(folder / f"{name}-{number}.png")
            Image.fromarray(pixels).resize((48, 48), Image.Resampling.BICUBIC).save(paths[-1])
    return paths


def review(page: Page) -> None:
    """Every photo with keys alone; the first okapi is typed, and from then on its name is offered."""
    for rest in range(2 * EACH - 1, -1, -1):
        if "cat-" in page.locator("#facts").inner_text():
            page.keyboard.press("1")
        else:
            page.keyboard.press("/")
            page.keyboard.type("Okapi" if page.locator("#names option").count() == 3 else "okapi")
            page.keyboard.press("Enter")
        left(page, rest)
        if rest and page.locator("#said").inner_text().startswith("A new animal"):
            assert page.locator("#names option").count() == 4
    page.get_by_role("heading", name="Nothing left to review").wait_for()


def test_what_people_correct_is_learned(
    tmp_path: Path, chromium: Browser, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = write_tiny_bundle(tmp_path / "tiny", names=("cat", "dog", "lion"))
    paths = draw(tmp_path / "photos")
    (tmp_path / "server").mkdir()
    options = ("--model", str(tiny), "--engine", "onnxruntime", "--keep-photos", "thumbnail")
    server = Server(*options, folder=tmp_path / "server")
    try:
        files = [("files", (path.name, path.read_bytes())) for path in paths]
        assert httpx.post(f"{server.address}/v1/predict", files=files, timeout=60).status_code == 200
        kept = server.log / "photos"
        wait_for(lambda: len(list(kept.glob("??/*"))) == len(paths) or None, "the photos", lambda: server.output)
        context = chromium.new_context(accept_downloads=True)
        page = context.new_page()
        page.goto(f"{server.address}/review")
        left(page, len(paths))
        review(page)
        page.get_by_role("button", name=f"Reviewed {len(paths)}").click()
        with page.expect_download() as download:
            page.get_by_role("button", name="Download the table (CSV)").click()
        with Path(download.value.path()).open(encoding="utf-8", newline="") as file:
            told = {row["file"]: row["label"] for row in csv.DictReader(file)}
        assert told == {path.name: "Okapi" if "okapi" in path.name else "cat" for path in paths}
        context.close()
    finally:
        server.kill()

    table = tmp_path / "labels.csv"
    assert main(["monitor", "export", str(table), "--log-folder", str(server.log)]) == 0
    assert "Okapi 12" in capsys.readouterr().out
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    words = [f"data.path={table}", f"backbone.bundle={tiny}", f"output={tmp_path / 'runs'}", "tracking=none"]
    assert main(["train", *words, "--json"]) == 0
    learned = Classifier.load(json.loads(capsys.readouterr().out)["bundle"])
    answers = [prediction.label for prediction in learned.predict(paths)]
    assert answers == ["cat"] * EACH + ["Okapi"] * EACH
