"""The tabs while an answer is on its way, comes late, or does not come: the next key is about what is on show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

import httpx

from tests.e2e.holding import Held, settle, until
from tests.e2e.serving import Server, wait_for
from tests.e2e.test_tabs import PHOTOS, encoded, left
from tests.support.tiny_bundle import write_tiny_bundle
from tests.support.trail_photos import taken

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

NOON = datetime(2026, 5, 1, 12)
EVENTS = ((0, 1, 2), (300, 301), (900,))  # minutes after noon
IN_EVENTS = sum(map(len, EVENTS))
OPEN = len(PHOTOS) + IN_EVENTS
FAILING_DECODE = """() => {
  const decode = HTMLImageElement.prototype.decode;
  HTMLImageElement.prototype.decode = function () {
    HTMLImageElement.prototype.decode = decode;
    return new Promise((_, fail) => (window.failDecode = () => fail(new DOMException("changed", "EncodingError"))));
  };
}"""
# A double click whose first half was answered before the second came, a sixth of a second later.
SECOND_CLICK = """button => {
  const again = new MouseEvent("click", { bubbles: true, detail: 2 });
  Object.defineProperty(again, "timeStamp", { value: window.firstClick + 160 });
  button.dispatchEvent(again);
}"""
NOTE_CLICKS = "addEventListener('click', (event) => (window.firstClick = event.timeStamp), { capture: true })"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With ten photos that do not say when they were taken, and six that do: three events."""
    folder = tmp_path_factory.mktemp("server")
    tiny = write_tiny_bundle(folder / "tiny", background=("chair",))
    options = ("--model", str(tiny), "--engine", "onnxruntime", "--prediction-log", "--audit-per-day", "0")
    server = Server(*options, "--keep-photos", "thumbnail", folder=folder, name="serve")
    files = [(f"{number}.jpg", encoded(colour)) for number, colour in enumerate(PHOTOS)]
    for minutes in (minutes for event in EVENTS for minutes in event):
        moment = NOON + timedelta(minutes=minutes)
        files.append((f"event-{minutes}.jpg", taken(moment, str(minutes))))
    sent = [("files", file) for file in files]
    assert httpx.post(f"{server.address}/v1/predict", files=sent, timeout=60).status_code == 200
    kept = server.log / "photos"
    wait_for(lambda: len(list(kept.glob("??/*"))) == OPEN or None, "the photos", lambda: server.output)
    yield server
    server.kill()


@pytest.fixture
def page(server: Server, chromium: Browser) -> Iterator[Page]:
    """A page in a fresh browser profile; what was said on it is taken back."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    yield context.new_page()
    context.close()
    while done := httpx.get(f"{server.address}/v1/review?state=done", timeout=60).json()["predictions"]:
        for item in done:
            httpx.delete(f"{server.address}/v1/feedback/{item['feedback']['number']}", timeout=60).raise_for_status()


@pytest.fixture
def review(page: Page, server: Server) -> Page:
    page.goto(f"{server.address}/review")
    page.get_by_role("img", name="The photo").wait_for()
    left(page, OPEN)
    return page


@pytest.fixture
def events(review: Page) -> Page:
    review.get_by_role("button", name="By event").click()
    review.locator(".event").nth(len(EVENTS) - 1).wait_for()
    return review


def file_on(page: Page) -> str:
    return page.locator("#facts").inner_text().split(" · ")[0]


def press(page: Page, key: str) -> str:
    """One key that goes to another photo; returns that one's file."""
    before = file_on(page)
    page.keyboard.press(key)
    page.locator("#facts").filter(has_not_text=before).wait_for()
    return file_on(page)


def words(server: Server) -> int:
    total: int = httpx.get(f"{server.address}/v1/review?state=done", timeout=60).json()["total"]
    return total


# ---------------------------------------------------------------------------------------------- one photo after another


def test_a_late_refusal_of_a_photo_is_not_said_of_the_next_one(page: Page, server: Server) -> None:
    held = Held(page, "**/photo")
    page.goto(f"{server.address}/review")
    held.wait()
    file = press(page, "ArrowRight")
    page.get_by_role("img", name=f"The photo {file}").wait_for()
    held.go(404, kind="no-such-photo")
    assert not page.locator("#no-photo").is_visible()
    assert page.get_by_role("img", name=f"The photo {file}").is_visible()


def test_a_photo_that_was_passed_while_it_was_decoded_is_no_trouble(page: Page, server: Server) -> None:
    page.add_init_script(f"({FAILING_DECODE})()")
    page.goto(f"{server.address}/review")
    page.locator("#photo:not([hidden])").wait_for(state="attached")
    file = press(page, "ArrowRight")
    page.get_by_role("img", name=f"The photo {file}").wait_for()
    page.evaluate("window.failDecode()")  # as an image does whose source changed
    settle(page)
    assert not page.get_by_role("alert").is_visible()


def test_a_photo_that_is_broken_is_not_a_server_that_is_gone(page: Page, server: Server) -> None:
    page.route("**/photo", lambda route: route.fulfill(body=b"\xff\xd8\xff no photo", content_type="image/jpeg"))
    page.goto(f"{server.address}/review")
    page.get_by_text("The photo cannot be shown.").wait_for()
    assert not page.get_by_role("alert").is_visible()


def test_the_photo_on_show_is_the_next_one_also_where_no_more_come(page: Page, server: Server) -> None:
    def three_at_once(route: Route) -> None:
        if "after=" in route.request.url:
            route.abort()
        else:
            route.continue_(url=route.request.url.replace("limit=20", "limit=3"))

    page.route("**/v1/review?state=open*", three_at_once)
    page.goto(f"{server.address}/review")
    left(page, OPEN)
    before = file_on(page)
    page.keyboard.press("c")
    page.get_by_role("alert").wait_for()
    assert file_on(page) != before, "the next key is about a photo that nobody has seen"
    left(page, OPEN - 1)
    assert words(server) == 1


def test_undo_waits_for_the_answer_that_it_takes_back(review: Page, server: Server) -> None:
    held = Held(review, "**/v1/feedback", method="POST")
    file = file_on(review)
    review.keyboard.press("c")
    held.wait()
    review.keyboard.press("u")
    held.go()
    review.get_by_role("status").filter(has_text="Undone").wait_for()
    left(review, OPEN)
    assert file_on(review) == file
    assert words(server) == 0


def test_a_double_click_is_one_answer(review: Page, server: Server) -> None:
    review.evaluate(NOTE_CLICKS)
    review.locator("#confirm").click()
    left(review, OPEN - 1)
    review.locator("#confirm").evaluate(SECOND_CLICK)
    settle(review)
    assert words(server) == 1


def test_a_key_that_is_held_down_is_one_answer(review: Page, server: Server) -> None:
    review.keyboard.down("c")
    left(review, OPEN - 1)
    review.keyboard.down("c")  # again and again, as keyboards do
    review.keyboard.up("c")
    settle(review)
    assert words(server) == 1


def test_what_nobody_can_take_back_does_not_keep_the_others(review: Page, server: Server) -> None:
    for rest in (1, 2):
        review.keyboard.press("c")
        left(review, OPEN - rest)
    held = Held(review, "**/v1/feedback/*", method="DELETE")
    review.keyboard.press("u")
    held.go(404, kind="no-such-feedback")  # its photo was forgotten
    assert review.get_by_role("alert").inner_text() == "Not now."
    review.keyboard.press("u")
    left(review, OPEN - 1)
    assert words(server) == 1


def test_a_word_of_somebody_else_is_no_reason_to_sign_in(review: Page) -> None:
    review.keyboard.press("c")
    left(review, OPEN - 1)
    review.get_by_role("button", name="Reviewed").click()
    held = Held(review, "**/v1/feedback/*", method="DELETE")
    review.get_by_role("row").get_by_role("button", name="Undo").click()
    held.go(403, kind="not-yours")
    assert review.get_by_role("alert").inner_text() == "Not now."
    assert review.get_by_role("row").nth(1).is_visible()


# -------------------------------------------------------------------------------------------------------- several lists


def test_a_list_that_does_not_come_leaves_the_one_on_show(review: Page) -> None:
    held = Held(review, "**/v1/review?state=done&limit=20")
    review.get_by_role("button", name="Reviewed").click()
    held.lose()
    assert review.get_by_role("alert").is_visible()
    assert review.get_by_role("button", name="To review").get_attribute("aria-pressed") == "true"
    review.keyboard.press("c")
    left(review, OPEN - 1)
    review.get_by_role("button", name="Reviewed").click()
    review.get_by_role("row").filter(has_text="confirmed").wait_for()
    assert not review.get_by_role("alert").is_visible()


def test_undo_in_another_list_does_not_mix_the_two(review: Page) -> None:
    while (before := file_on(review)).startswith("event"):
        press(review, "ArrowRight")
    review.keyboard.press("c")  # of a photo that does not say when it was taken
    left(review, OPEN - 1)
    review.get_by_role("button", name="By event").click()
    review.locator(".event").first.wait_for()
    review.keyboard.press("u")
    left(review, OPEN)
    assert review.locator(".shots > li").count() == IN_EVENTS
    assert not review.locator(".shots").get_by_text(before).count()


def test_photos_of_a_list_that_was_left_are_not_asked_for(review: Page) -> None:
    held = Held(review, "**/photo", count=2)  # the first of the events, and the one of the list after them
    asked: list[str] = []
    review.on("request", lambda request: asked.append(request.url) if request.url.endswith("/photo") else None)
    review.get_by_role("button", name="By event").click()
    until(review, lambda: asked, "a photo")
    review.get_by_role("button", name="To review").click()
    held.wait()
    held.go()
    assert len(asked) == 2
    held.go()
    review.get_by_role("img", name="The photo").wait_for()


# --------------------------------------------------------------------------------------------------------- whole events


def test_half_an_event_that_is_kept_is_told_and_can_be_taken_back(events: Page, server: Server) -> None:
    held = Held(events, "**/v1/feedback", method="POST", passing=1)
    events.locator(".event").first.get_by_role("button", name="Yes").click()
    held.go(500)
    left(events, OPEN - 1)
    assert events.locator("#count-done").inner_text() == "1"
    assert events.locator("#said").inner_text().endswith("(1 of 3 photos).")
    assert events.get_by_role("alert").inner_text() == "Not now."
    assert events.locator(".event").first.locator(".shots > li").count() == 2
    events.keyboard.press("u")
    left(events, OPEN)
    assert events.locator(".event").first.locator(".shots > li").count() == 3
    assert words(server) == 0


def test_half_an_event_that_is_taken_back_is_on_show(events: Page) -> None:
    events.locator(".event").first.get_by_role("button", name="Yes").click()
    left(events, OPEN - 3)
    held = Held(events, "**/v1/feedback/*", method="DELETE", passing=1)
    events.keyboard.press("u")
    held.go(503, kind="log-unavailable")
    left(events, OPEN - 2)
    assert events.locator(".shots > li").count() == IN_EVENTS - 2
    events.keyboard.press("u")
    left(events, OPEN)
    assert events.locator(".event").first.locator(".shots > li").count() == 3


def test_one_photo_alone_waits_until_its_event_is_answered(events: Page) -> None:
    held = Held(events, "**/v1/feedback", method="POST", passing=1)
    first = events.locator(".event").first
    first.get_by_role("button", name="Yes").click()
    held.wait()
    first.get_by_role("button", name="event-0.jpg alone").click()
    held.go()
    left(events, OPEN - 3)
    assert events.locator(".event").first.is_visible()
    assert events.locator(".event").count() == len(EVENTS) - 1


# ----------------------------------------------------------------------------------------------------------- signing in


def test_an_older_keys_refusal_is_not_the_new_keys(page: Page, server: Server) -> None:
    photo = Held(page, "**/photo")
    word = Held(page, "**/v1/feedback", method="POST")
    page.goto(f"{server.address}/review")
    left(page, OPEN)
    page.keyboard.press("c")
    word.wait()
    photo.go(401)
    page.get_by_label("API key").fill("of-today")
    page.keyboard.press("Enter")
    word.go(401)
    page.get_by_role("img", name="The photo").wait_for()
    assert not page.get_by_label("API key").is_visible()
    assert page.evaluate("sessionStorage.getItem('animals.key')") == "of-today"


def test_a_page_that_the_browser_kept_is_not_shown_after_signing_out(page: Page, server: Server) -> None:
    page.goto(f"{server.address}/review")
    page.evaluate("sessionStorage.setItem('animals.key', 'mine')")
    page.reload()
    left(page, OPEN)
    page.evaluate("sessionStorage.removeItem('animals.key')")  # on another page of the same tab
    with page.expect_navigation():
        page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")


def test_signing_out_on_any_page_forgets_the_answers(page: Page, server: Server) -> None:
    page.goto(f"{server.address}/model")
    page.evaluate("sessionStorage.setItem('animals.key', 'mine')")
    page.evaluate("sessionStorage.setItem('animals.answers', '[]')")
    page.reload()
    with page.expect_navigation():
        page.get_by_role("button", name="Sign out").click()
    assert page.evaluate("sessionStorage.length") == 0


# ---------------------------------------------------------------------------------------------------------- the monitor


@pytest.fixture
def monitor(page: Page, server: Server) -> Page:
    page.clock.install()
    page.goto(f"{server.address}/monitor")
    page.get_by_role("img", name="Animals over time").wait_for()
    return page


def predictions(page: Page) -> Callable[[str], None]:
    tile = page.locator(".tiles div").filter(has_text="Predictions")
    return lambda number: tile.get_by_text(number, exact=True).wait_for()


def test_an_older_look_of_the_same_time_does_not_undo_a_newer_one(page: Page, server: Server) -> None:
    older = Held(page, "**/v1/monitor?since=24h")
    page.goto(f"{server.address}/monitor")
    older.wait()
    since = page.get_by_label("Over the last")
    since.select_option("hour")
    predictions(page)(str(OPEN))
    with page.expect_response("**/v1/monitor?since=24h") as newer:
        since.select_option("24 hours")
    settle(page)
    older.go(200, json={**newer.value.json(), "predictions": 7})
    predictions(page)(str(OPEN))


def test_a_table_that_somebody_opened_meanwhile_stays(monitor: Page) -> None:
    held = Held(monitor, "**/v1/monitor?since=24h")
    monitor.clock.fast_forward(30_000)
    held.wait()
    monitor.get_by_text("As a table").first.click()
    held.go()
    assert monitor.get_by_role("table").first.is_visible()


def test_trouble_is_over_when_the_server_answers_again(monitor: Page) -> None:
    held = Held(monitor, "**/v1/monitor?since=24h")
    monitor.clock.fast_forward(30_000)
    held.lose()
    assert monitor.get_by_role("alert").is_visible()
    monitor.clock.fast_forward(30_000)
    monitor.get_by_role("alert").wait_for(state="hidden")
