"""The Monitor tab when photos have changed: what, since when, where, with photos from before and now."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

import httpx
import numpy as np
from PIL import Image

from animal_classification.prediction_log.database import connect
from animal_classification.prediction_log.location import LogLocation
from animal_classification.prediction_log.migrate import migrate
from animal_classification.prediction_log.photo_store import photos_at
from animal_classification.prediction_log.record import PredictionRecord
from animal_classification.prediction_log.store import insert
from tests.e2e.conftest import Watch
from tests.e2e.holding import Held
from tests.e2e.serving import Server
from tests.support.drift_log import Scenes, ago, write_watched_bundle

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def with_photo(record: PredictionRecord, level: int, place: LogLocation) -> PredictionRecord:
    buffer = BytesIO()
    noise = np.random.default_rng(int(record.photo[:8], 16)).integers(0, 40, (32, 32, 3))
    Image.fromarray((noise + level).astype(np.uint8)).save(buffer, "JPEG")
    photo = hashlib.sha256(buffer.getvalue()).hexdigest()
    photos_at(place.photos).put(photo, buffer.getvalue())
    return replace(record, photo=photo, audit=0.5, audited=False)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    bundle, folder = write_watched_bundle(tmp_path / "tiny"), tmp_path / "server"
    folder.mkdir()
    place = LogLocation(folder=tmp_path / "server-log")
    engine = connect(place.database)
    migrate(engine)
    scenes = Scenes(40)
    rows = [with_photo(row, 180, place) for row in scenes.records(200, ago(5), source="gate")]
    insert(engine, rows)
    options = ("--model", str(bundle), "--engine", "onnxruntime", "--no-page", "--prediction-log")
    server = Server(*options, "--keep-photos", "thumbnail", "--drift-sources", "gate", folder=folder, name="serve")
    judge = f"{server.address}/v1/drift/judge"
    assert len(httpx.post(judge, timeout=60).json()["verdicts"]) == 2
    for hours in (4, 3):
        insert(engine, [with_photo(row, 10, place) for row in scenes.records(200, ago(hours), source="gate", dark=1.5)])
        assert len(httpx.post(judge, timeout=60).json()["verdicts"]) == 2
    engine.dispose()
    yield server
    server.kill()


@pytest.mark.parametrize("width", [1280, 390])
def test_what_changed_is_on_the_page(server: Server, chromium: Browser, width: int) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 900})
    watch = Watch(context, server.address)
    page = context.new_page()
    held = Held(page, "**/photo", count=2)
    page.goto(f"{server.address}/monitor")
    held.wait()
    panel = page.locator("section.drift").filter(has_text="at gate")
    panel.get_by_role("heading", name="Drift in the picture itself at gate").wait_for()
    assert "confirmed, costs accuracy" in panel.inner_text()
    assert "Estimated, without labels" in panel.inner_text()
    panel.get_by_role("img", name="Before, photo 6").wait_for()
    held.go()
    held.go()
    panel.get_by_role("img", name="Before, photo 1").wait_for()
    for strip in panel.locator(".strip").all():
        numbers = [image.get_attribute("alt") or "" for image in strip.locator("img").all()]
        assert [text.rsplit(" ", 1)[1] for text in numbers] == list("123456"), "in their order, however they come"
    panel.get_by_role("img", name="Now, photo 6").wait_for()
    page.locator(".tiles div").filter(has_text="Accuracy").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert (watch.complaints, watch.elsewhere) == ([], [])
    context.close()
