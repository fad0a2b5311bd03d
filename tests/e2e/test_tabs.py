"""The tabs in a real browser: ten photos reviewed by keyboard, signing in, what a screen reader is told."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

import httpx
from PIL import Image

from animal_classification.cli.main import main
from tests.e2e.conftest import Watch
from tests.e2e.serving import Server, wait_for
from tests.support.tiny_bundle import COLOURS, solid, write_tiny_bundle

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

Open = Callable[..., "Page"]
RED, GREEN, BLUE, YELLOW = COLOURS[:4]
# Ten photos, no two of the same bytes: a photo is asked about once.
PHOTOS = [
    tuple(abs(part - number) for part in colour)
    for number, colour in enumerate((RED, GREEN, BLUE, YELLOW, RED, GREEN, BLUE, YELLOW, RED, GREEN))
]
WORDS = """
SELECT p.id, p.label, p.unknown, f.verdict, f.label, f.undone IS NOT NULL FROM animals_feedback f
JOIN animals_predictions p ON p.id = f.prediction ORDER BY f.number
"""


def encoded(colour: tuple[int, ...]) -> bytes:
    buffer = BytesIO()
    Image.fromarray(solid((colour[0], colour[1], colour[2]), size=64)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    files = {"confusion.json": b'{"labels":["cat","dog","lion"],"matrix":[[9,1,0],[0,10,0],[2,0,8]]}'}
    folder = tmp_path_factory.mktemp("bundles") / "tiny"
    return str(write_tiny_bundle(folder, background=("chair",), files=files))


@pytest.fixture
def server(tmp_path: Path, tiny: str) -> Iterator[Server]:
    """As somebody has it who keeps photos, and has sent ten."""
    options = ("--model", tiny, "--engine", "onnxruntime", "--no-page", "--keep-photos", "thumbnail")
    # Without photos chosen by chance, which come first: the doubtful ones do.
    server = Server(*options, "--prediction-log", "--audit-per-day", "0", folder=tmp_path, name="serve")
    files = [("files", (f"{number}.jpg", encoded(colour))) for number, colour in enumerate(PHOTOS)]
    assert httpx.post(f"{server.address}/v1/predict", files=files).status_code == 200
    kept = server.log / "photos"
    wait_for(lambda: len(list(kept.glob("??/*"))) == 10 or None, "the photos", lambda: server.output)
    review = f"{server.address}/v1/review"
    wait_for(lambda: httpx.get(review).json()["total"] == 10 or None, "their rows", lambda: server.output)
    yield server
    server.kill()


@pytest.fixture
def opened(server: Server, chromium: Browser) -> Iterator[Open]:
    """Opens a tab in a fresh browser profile."""
    contexts = []

    def opened(tab: str, **options: Any) -> Page:
        context = chromium.new_context(**({"viewport": {"width": 1440, "height": 900}} | options))
        contexts.append((context, Watch(context, server.address)))
        page = context.new_page()
        page.goto(f"{server.address}/{tab}")
        return page

    yield opened
    for context, watch in contexts:
        context.close()
        watch.assert_clean()


def words(server: Server) -> list[tuple[Any, ...]]:
    with sqlite3.connect(server.log / "predictions.db") as connection:
        found = connection.execute(WORDS).fetchall()
    connection.close()
    return found


def left(page: Page, count: int) -> None:
    # Not by a function in the page: its content policy refuses the eval that this takes.
    page.locator(f"#count-open:text-is('{count}')").wait_for()


def press(page: Page, key: str, then: int) -> str:
    """One key; returns what was on show before."""
    before = page.locator("#item-name").inner_text()
    page.keyboard.press(key)
    left(page, then)
    return before


def test_ten_photos_are_reviewed_by_keyboard(opened: Open, server: Server) -> None:
    page = opened("review")
    page.get_by_role("img", name=re.compile(r"The photo \d\.jpg")).wait_for()
    left(page, 10)
    assert not page.get_by_role("group", name="Which photos to review").is_visible()
    expected: list[tuple[str, str | None]] = []
    for number in range(10):
        name = page.locator("#item-name").inner_text()
        choices = page.locator(".answer-name").all_inner_texts()
        rest = 9 - number
        if number in {0, 1}:  # the unknown ones come first
            assert name == "Not an animal"
            key, word = [("c", ("confirmed", "not an animal")), ("2", ("corrected", choices[1]))][number]
            press(page, key, rest)
        elif number == 4:  # by its name
            page.keyboard.press("/")
            page.keyboard.type("Lion")
            page.keyboard.press("Enter")
            left(page, rest)
            word = ("corrected", "lion")
        elif number == 5:
            press(page, "n", rest)
            word = ("none", "no animal")
        elif number == 6:  # a slip, undone, and what was meant
            press(page, "3", rest)
            press(page, "u", rest + 1)
            assert page.locator("#item-name").inner_text() == name
            press(page, "1", rest)
            word = ("confirmed", name.lower())
        else:
            press(page, "c", rest)
            word = ("confirmed", name.lower())
        expected.append(word)
        assert page.locator("#said").inner_text()
    page.get_by_role("heading", name="Nothing left to review").wait_for()
    found = words(server)
    assert len(found) == 11
    assert [row[5] for row in found].count(1) == 1
    assert [(row[3], row[4]) for row in found if not row[5]] == expected
    assert len({row[0] for row in found}) == 10
    assert [row[2] for row in found[:2]] == [1, 1]

    page.keyboard.press("u")  # and the last one again
    left(page, 1)
    page.locator("#item-name:focus").wait_for()
    assert words(server)[-1][5] == 1


def test_tab_and_enter_alone_are_enough(opened: Open, server: Server) -> None:
    page = opened("review")
    left(page, 10)
    page.get_by_label("One key answers").uncheck()
    page.keyboard.press("c")
    page.locator("#item-name").focus()
    seen = []
    for _ in range(6):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.textContent.trim() || document.activeElement.id"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert seen[0].endswith("Yes, no animal")
    assert [text[0] for text in seen[1:4]] == ["1", "2", "3"]
    assert seen[4] == "other-name"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    left(page, 9)
    assert len(words(server)) == 1, "a key that is switched off answered"
    page.locator("#item-name:focus").wait_for()


def test_what_a_screen_reader_is_told_of_the_review(opened: Open) -> None:
    page = opened("review")
    page.get_by_role("region", name="Not an animal").wait_for()
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Review").wait_for()
    assert page.get_by_role("link", name="Review").get_attribute("aria-current") == "page"
    page.get_by_role("list", name="Or it is:").get_by_role("button", name=re.compile("cat")).wait_for()
    page.get_by_label("Another animal").wait_for()
    assert page.get_by_role("button", name="To review 10").get_attribute("aria-pressed") == "true"
    assert page.locator("h1").count() == 2, "Review, and the sign-in that is hidden"
    page.get_by_role("button", name="Yes, no animal").click()
    page.get_by_role("status").filter(has_text="Confirmed: not an animal.").wait_for()
    page.get_by_role("button", name=re.compile("Reviewed")).click()
    row = page.get_by_role("row").filter(has_text="confirmed: not an animal")
    row.get_by_role("button", name=re.compile(r"Undo \d\.jpg")).click()
    page.get_by_role("status").filter(has_text="Undone").wait_for()
    page.get_by_role("heading", name="Nothing was reviewed yet").wait_for()
    page.get_by_role("button", name="To review 10").click()
    page.get_by_role("region", name="Not an animal").wait_for()


def test_the_model_and_the_monitor(opened: Open) -> None:
    page = opened("model")
    page.get_by_role("heading", name="tiny", level=1).wait_for()
    page.get_by_text("27 of 30 test photos were named rightly (90%).").wait_for()
    matrix = page.get_by_role("region", name="Confusion matrix")
    assert matrix.locator("tbody tr").nth(2).locator("td").all_inner_texts() == ["2", "", "8"]
    page.get_by_text("Tells colours apart.").wait_for()
    page = opened("monitor")
    page.locator(".tiles div").filter(has_text="Predictions").get_by_text("10", exact=True).wait_for()
    page.get_by_role("img", name="Animals over time").wait_for()
    page.get_by_text("As a table").first.click()
    assert "cat" in page.get_by_role("table").first.inner_text()
    page.get_by_label("Over the last").select_option("hour")
    page.locator(".tiles div").filter(has_text="Unknown").get_by_text("20%").wait_for()


def test_another_animal_is_one_of_the_model_that_answered(tmp_path: Path, tiny: str, chromium: Browser) -> None:
    from playwright.sync_api import expect

    wild = write_tiny_bundle(tmp_path / "wild", names=("wolf", "bear", "fox", "hare", "deer", "boar"), name="wild")
    options = ("--model", tiny, "--model", str(wild), "--engine", "onnxruntime", "--prediction-log")
    server = Server(*options, folder=tmp_path, name="serve")
    try:
        for model, colour in (("tiny", RED), ("wild", PHOTOS[4])):
            files = {"files": (f"{model}.jpg", encoded(colour))}
            assert httpx.post(f"{server.address}/v1/predict?model={model}", files=files).status_code == 200
        context = chromium.new_context()
        page = context.new_page()
        page.goto(f"{server.address}/review")
        left(page, 2)
        for rest in (1, 0):
            label, offered = ("lion", 3) if "tiny.jpg" in page.locator("#facts").inner_text() else ("boar", 6)
            expect(page.locator("#names option")).to_have_count(offered)  # once they have been asked for
            page.keyboard.press("/")
            page.keyboard.type(label)
            page.keyboard.press("Enter")
            left(page, rest)
        context.close()
    finally:
        server.kill()
    assert {(row[1], row[4]) for row in words(server)} == {("cat", "lion"), ("wolf", "boar")}


def test_a_click_on_a_list_is_kept_while_an_answer_is_on_its_way(opened: Open) -> None:
    page = opened("review")
    page.locator("#item").wait_for()
    held: list[Route] = []
    # Playwright marks its handlers, which a list's own method does not allow.
    page.route("**/v1/feedback", lambda route: held.append(route))  # noqa: PLW0108
    with page.expect_request("**/v1/feedback"):
        page.get_by_role("button", name="Yes, no animal").click()
    page.get_by_role("button", name=re.compile("Reviewed")).click()
    held[0].continue_()
    page.get_by_role("row").nth(1).wait_for()
    assert page.locator("#count-done").inner_text() == "1"


def held_back(page: Page, pattern: str) -> Callable[[], None]:
    """Loads the page again with its first request of these on the way; gives what lets that one go."""
    held: list[Route] = []

    def hold_the_first(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    page.route(pattern, hold_the_first)
    with page.expect_request(pattern):
        page.reload()
    while not held:  # Playwright calls the handler when it is waited for
        page.wait_for_timeout(10)
    return held[0].continue_


def test_a_click_on_a_list_waits_for_the_first_one(opened: Open) -> None:
    page = opened("review")
    page.locator("#item").wait_for()
    let_go = held_back(page, "**/v1/review?state=open*")
    page.get_by_role("button", name="By event").click()
    page.wait_for_timeout(300)  # enough for the other list, if nothing waits
    let_go()
    page.get_by_role("heading", name="No events to review").wait_for()
    page.wait_for_load_state("networkidle")
    assert page.locator(".event:visible").count() == 0, "the photos of the first list are no events"
    assert page.locator("#nothing-title").is_visible()


def test_the_monitor_shows_the_time_that_was_chosen_last(opened: Open) -> None:
    page = opened("monitor")
    page.get_by_text("0.007 a minute").wait_for()
    let_go = held_back(page, "**/v1/monitor?since=24h")
    page.get_by_label("Over the last").select_option("hour")
    page.get_by_text("0.2 a minute").wait_for()
    with page.expect_response("**/v1/monitor?since=24h"):
        let_go()
    page.wait_for_timeout(300)
    assert page.get_by_text("0.2 a minute").is_visible(), "ten photos in an hour, not in a day"


def test_on_a_phone_no_tab_scrolls_sideways(opened: Open) -> None:
    for tab, width in (("review", 390), ("review", 320), ("model", 390), ("monitor", 390)):
        page = opened(tab, viewport={"width": width, "height": 844}, is_mobile=True, has_touch=True)
        page.locator(".panel:visible").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (tab, width)
        if tab == "review":
            page.get_by_role("button", name="Yes, no animal").click()
            page.get_by_role("button", name=re.compile("Reviewed")).click()
            page.get_by_role("row").nth(1).wait_for()
            assert page.evaluate("document.documentElement.scrollWidth") <= width, "the list"
            page.get_by_role("button", name=re.compile("Undo")).first.click()


def test_with_keys_one_signs_in(tmp_path: Path, tiny: str, chromium: Browser, capsys: Any) -> None:
    keys = tmp_path / "keys.json"
    texts = {}
    for scope in ("predict", "feedback"):
        assert main(["keys", "create", scope, "--scope", scope, "--file", str(keys)]) == 0
        texts[scope] = capsys.readouterr().out.strip()
    options = ("--model", tiny, "--engine", "onnxruntime", "--keys-file", str(keys), "--prediction-log")
    server = Server(*options, "--root-path", "/zoo", folder=tmp_path, name="serve")
    try:
        given = {"X-API-Key": texts["predict"]}
        files = {"files": ("a.jpg", encoded(RED))}
        assert httpx.post(f"{server.address}/v1/predict", files=files, headers=given).status_code == 200
        context = chromium.new_context()
        page = context.new_page()
        page.goto(f"{server.address}/review")
        page.get_by_label("API key").fill("lions")
        page.keyboard.press("Enter")
        page.get_by_text("That key is not known here").wait_for()
        page.get_by_label("API key").fill(texts["predict"])
        page.get_by_role("button", name="Sign in").click()
        page.get_by_text("lacks the scope 'feedback'").wait_for()
        page.get_by_label("API key").fill(texts["feedback"])
        page.keyboard.press("Enter")
        left(page, 1)
        press(page, "c", 0)
        assert texts["feedback"] not in page.url
        assert context.cookies() == []
        assert page.evaluate("JSON.stringify(localStorage)").find("animals_") == -1
        page.get_by_role("button", name="Sign out").click()
        page.get_by_label("API key").wait_for()
        assert page.evaluate("sessionStorage.length") == 0
        context.close()
    finally:
        server.kill()
    assert [row[3] for row in words(server)] == ["confirmed"]
    with sqlite3.connect(server.log / "predictions.db") as connection:
        assert connection.execute("SELECT who FROM animals_feedback").fetchall() == [("feedback",)]
    connection.close()
