"""One place for a person: where two models differ (blind), what the loop asks for, and the photos chosen by chance."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

import httpx

from animal_classification.prediction_log.database import connect
from animal_classification.prediction_log.label_requests import ask_for
from animal_classification.prediction_log.location import LogLocation
from tests.e2e.accessibility import violations
from tests.e2e.conftest import Watch
from tests.e2e.serving import Server, wait_for
from tests.e2e.test_tabs import PHOTOS, encoded, left
from tests.support.tiny_bundle import write_tiny_bundle

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SCREENS = [(1280, "light"), (390, "dark")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Ten photos; a shadow has another name for some of them, and the loop asks for two of the others."""
    folder = tmp_path_factory.mktemp("server")
    tiny = write_tiny_bundle(folder / "tiny", background=("chair",))
    other = write_tiny_bundle(folder / "other", background=("chair",), version="2", names=("wolf", "dog", "cat"))
    options = ("--model", str(tiny), "--shadow", f"tiny={other}@1", "--engine", "onnxruntime", "--no-page")
    more = ("--prediction-log", "--keep-photos", "thumbnail", "--audit-per-day", "50")
    server = Server(*options, *more, folder=folder, name="serve")
    files = [("files", (f"{number}.jpg", encoded(colour))) for number, colour in enumerate(PHOTOS)]
    assert httpx.post(f"{server.address}/v1/predict", files=files).status_code == 200
    wait_for(lambda: len(list((server.log / "photos").glob("??/*"))) == 10 or None, "photos", lambda: server.output)
    wait_for(lambda: _shadowed(server) == 10 or None, "what the shadow says", lambda: server.output)
    engine = connect(LogLocation(folder=server.log).database)
    queue = httpx.get(f"{server.address}/v1/review", params={"queue": "all"}).json()["predictions"]
    found = [row for row in queue if row["why"] == "doubt"]
    with sqlite3.connect(server.log / "predictions.db") as connection:
        photos = dict(connection.execute("SELECT id, photo FROM animals_predictions").fetchall())
    connection.close()
    ask_for(engine, "tiny", {photos[row["id"]]: "drift" for row in found[:2]})
    engine.dispose()
    yield server
    server.kill()


def _shadowed(server: Server) -> int:
    with closing(sqlite3.connect(server.log / "predictions.db")) as connection:
        try:
            return int(connection.execute("SELECT count(*) FROM animals_shadow").fetchone()[0])
        except sqlite3.OperationalError:
            return 0


def chosen(page: Page, name: str) -> int:
    """Choose a class; returns how many photos its button says there are."""
    button = page.get_by_role("group", name="Which photos to review").get_by_role("button", name=name)
    button.click()
    page.locator("[aria-pressed=true]", has_text=name).wait_for()
    return int(button.locator("span").inner_text())


@pytest.mark.parametrize("screen", SCREENS, ids=str)
def test_the_classes_of_the_review(server: Server, chromium: Browser, screen: tuple[int, str]) -> None:
    width, scheme = screen
    context = chromium.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
    )
    watch = Watch(context, server.address)
    page = context.new_page()
    page.goto(f"{server.address}/review")
    before = httpx.get(f"{server.address}/v1/review", params={"queue": "all"}).json()
    left(page, before["total"])

    # 1. Where two models differ comes first, and blind: two names, one key each, and no yes.
    page.get_by_text("Two models differ on this photo").wait_for()
    page.get_by_role("heading", name="Which animal is it?").wait_for()
    assert not page.get_by_role("button", name="Yes,").is_visible()
    assert "tiny" in page.locator("#facts").inner_text()
    assert not page.locator("#facts").inner_text().rstrip().endswith(("1", "2")), "no version"
    names = page.locator(".answer-name").all_inner_texts()
    assert 1 <= len(names) <= 2
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.keyboard.press("c")  # says nothing here
    page.keyboard.press("1")
    left(page, before["total"] - 1)
    assert page.locator("#said").inner_text() == f"Said: {names[0]}."
    page.keyboard.press("u")
    left(page, before["total"])

    # 2. What the loop asks for, and what was chosen by chance, each by itself.
    assert chosen(page, "Asked for") == before["counts"]["asked"] == 2
    page.get_by_text("The loop asks for this photo").wait_for()
    page.get_by_role("button", name="Yes,").wait_for()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for rest in (1, 0):
        page.keyboard.press("c")
        left(page, before["total"] - 2 + rest)
    page.get_by_text("All of these are answered").wait_for()
    assert violations(page) == []
    for back in (1, 2):
        page.keyboard.press("u")
        left(page, before["total"] - 2 + back)
    assert chosen(page, "By chance") == before["counts"]["audit"]
    page.get_by_text("Chosen by chance").wait_for()
    assert chosen(page, "Models differ") == before["counts"]["disagree"]
    page.get_by_text("Two models differ on this photo").wait_for()
    context.close()
    watch.assert_clean()
