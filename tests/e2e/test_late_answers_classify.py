"""The page that classifies, while photos, examples and the camera are on their way: what was asked for last counts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

from tests.e2e.holding import Held, settle, until
from tests.e2e.serving import Server, wait_for
from tests.e2e.test_page import choose
from tests.e2e.test_tabs import BLUE, GREEN, RED, encoded
from tests.support.tiny_bundle import write_tiny_bundle

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# The first photo that is made small after `holdDrawing` waits for `letGo`.
HELD_DRAWING = """(() => {
  const draw = createImageBitmap;
  let held = Promise.resolve();
  window.holdDrawing = () => void (held = new Promise((done) => (window.letGo = done)));
  window.createImageBitmap = async (...words) => {
    const mine = held;
    held = Promise.resolve();
    await mine;
    return draw(...words);
  };
})()"""
# A camera that a person allows when `allow` is called; `streams` are all that were given.
ASKING_CAMERA = """(() => {
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  const asked = new Promise((done) => (window.allow = done));
  window.streams = [];
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    await asked;
    const stream = await open(wanted);
    window.streams.push(stream);
    return stream;
  };
})()"""
# Photos are small enough to be kept when somebody has signed out, and some turns before the page is left.
KEPT_TOO_LATE = """() => document.getElementById("sign-out").addEventListener("click", async () => {
  window.letGo();
  for (let turn = 0; turn < 12; turn++) await (await fetch("tabs/theme.js", { cache: "no-store" })).text();
  fetch("tabs/theme.js?over");
})"""
LIVE = "streams.flatMap((one) => one.getTracks()).filter((track) => track.readyState === 'live').length"
STORED = "JSON.parse(sessionStorage.getItem('animals.answers') ?? '[]').map((photo) => photo.name)"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    tiny = write_tiny_bundle(folder / "tiny")
    server = Server("--model", str(tiny), "--engine", "onnxruntime", folder=folder, name="serve")
    yield server
    server.kill()


@pytest.fixture
def page(server: Server, chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, permissions=["camera"])
    page = context.new_page()
    page.add_init_script(HELD_DRAWING)
    page.add_init_script(ASKING_CAMERA)
    page.goto(f"{server.address}/")
    settle(page)
    yield page
    context.close()


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    found = []
    for name, colour in {"cat": RED, "dog": GREEN, "lion": BLUE}.items():
        found.append(tmp_path / f"{name}.jpg")
        found[-1].write_bytes(encoded(colour))
    return found


def heading(page: Page, name: str) -> None:
    page.locator(".answer").get_by_role("heading", name=name, exact=True).wait_for()


def stored(page: Page, *names: str) -> None:
    wait_for(lambda: page.evaluate(STORED) == list(names) or None, "what is kept", lambda: str(page.evaluate(STORED)))


def test_an_example_that_comes_late_does_not_replace_a_photo(page: Page, photos: list[Path]) -> None:
    held = Held(page, "**/tabs/examples/cat.jpg")
    page.get_by_role("button", name="A cat").click()
    held.wait()
    choose(page, photos[2])
    heading(page, "Lion")
    held.go()
    page.get_by_alt_text("The photo: lion.jpg").wait_for()
    assert not page.locator("[data-busy]").count(), "the example is looked at"
    assert not page.get_by_role("button", name="A cat").is_disabled()


def test_the_last_photo_is_the_one_that_is_kept(page: Page, photos: list[Path]) -> None:
    page.evaluate("holdDrawing()")
    choose(page, photos[0])
    heading(page, "Cat")
    choose(page, photos[2])
    heading(page, "Lion")
    stored(page, "lion.jpg")
    page.evaluate("letGo()")
    settle(page)
    page.evaluate("createImageBitmap(new ImageData(1, 1))")  # a turn after the photo's own
    page.reload()
    heading(page, "Lion")


def test_nothing_is_kept_after_signing_out(page: Page, server: Server, photos: list[Path]) -> None:
    page.evaluate("sessionStorage.setItem('animals.key', 'mine')")
    page.reload()
    page.get_by_role("button", name="Sign out").wait_for()
    page.evaluate("holdDrawing()")
    choose(page, *photos)
    heading(page, "3 photos")
    over: list[str] = []
    page.on("request", lambda request: over.append(request.url) if request.url.endswith("?over") else None)
    leaving = Held(page, f"{server.address}/")
    page.evaluate(KEPT_TOO_LATE)
    page.get_by_role("button", name="Sign out").click(no_wait_after=True)
    leaving.wait()
    until(page, lambda: over, "the end of the page")
    with page.expect_event("load"):
        leaving.go(settled=False)
    assert page.evaluate("sessionStorage.length") == 0


def test_the_camera_that_was_asked_for_twice_is_one(page: Page) -> None:
    page.locator("[data-camera]").dblclick()
    page.evaluate("allow()")
    page.get_by_role("button", name="Close the camera").click()
    settle(page)
    assert page.evaluate("streams.length") == 1
    assert page.evaluate(LIVE) == 0, "a camera stays on"


def test_a_camera_that_is_allowed_late_stays_off(page: Page, photos: list[Path]) -> None:
    page.get_by_role("button", name="Use the camera").click()
    choose(page, photos[0])
    heading(page, "Cat")
    page.evaluate("allow()")
    wait_for(lambda: page.evaluate("streams.length") or None, "the camera", lambda: page.url)
    settle(page)
    assert page.evaluate(LIVE) == 0
    assert not page.locator("video").is_visible()


def many(page: Page, tmp_path: Path, count: int) -> None:
    for number in range(count):
        (tmp_path / f"{number:02}.jpg").write_bytes(encoded(RED))
    choose(page, *sorted(tmp_path.glob("??.jpg")))


def test_a_camera_does_not_end_what_is_on_its_way(page: Page, photos: list[Path]) -> None:
    held = Held(page, "**/v1/predict", method="POST")
    choose(page, *photos)
    held.wait()
    page.evaluate("allow()")
    page.get_by_role("button", name="Use the camera").click()
    page.get_by_role("button", name="Take the photo").wait_for()
    assert page.get_by_text("Looked at 0 of 3 photos").is_visible()
    assert page.get_by_role("button", name="A cat").is_disabled()
    held.go()
    heading(page, "3 photos")


def test_a_server_that_goes_while_another_request_waits_leaves_no_work_behind(page: Page, tmp_path: Path) -> None:
    held = Held(page, "**/v1/predict", method="POST", count=2)
    many(page, tmp_path, 16)
    held.go(429, kind="too-fast", wait=30)
    page.get_by_text("The server is busy: going on in 30 seconds").wait_for()
    page.route("**/healthz", lambda route: route.abort())
    held.lose()
    heading(page, "No answer came")
    assert not page.locator("[data-busy]").count()


def test_what_was_answered_before_the_server_went_stays(page: Page, tmp_path: Path) -> None:
    second = Held(page, "**/v1/predict", method="POST", passing=1, count=1)
    many(page, tmp_path, 16)
    page.get_by_text("Looked at 8 of 16 photos").wait_for()
    page.route("**/healthz", lambda route: route.abort())
    second.lose()
    heading(page, "8 photos")
    page.get_by_text("8 photos more were not looked at.").wait_for()
    assert page.get_by_role("alert").inner_text() == "The server does not answer. Is it still running?"
    assert not page.locator("[data-busy]").count()
