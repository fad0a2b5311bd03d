"""The page of a run's events in a browser: at a desk, on a phone, by keyboard, and without its script."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("jinja2")

from animal_classification.cli.main import main
from tests.e2e.accessibility import SCREENS, violations
from tests.support.tiny_bundle import write_tiny_bundle
from tests.support.trail_photos import put, taken

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NOON = datetime(2026, 5, 1, 12)
BOX = [0.25, 0.5, 0.5, 0.25]
EVENTS = 4
# Where a box is in its picture, in fractions of it.
PLACE = """box => {
  const [a, b] = [box, box.closest('figure').querySelector('img')].map(one => one.getBoundingClientRect());
  return [(a.left - b.left) / b.width, (a.top - b.top) / b.height, a.width / b.width, a.height / b.height];
}"""


@pytest.fixture(scope="module")
def timeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three events of one station with a box each, one of another, and a photo without a time."""
    folder = tmp_path_factory.mktemp("timeline")
    names = []
    for number in range(EVENTS):
        name = f"{'Beech ridge' if number else 'Old <b>quarry</b>'}/IMG_{number:04d}.JPG"
        put(folder / "cards", name, taken(NOON + number * timedelta(hours=5), name))
        names.append(name)
    boxes = [{"category": "1", "conf": 0.9, "bbox": BOX}]
    document = {
        "info": {"format_version": "1.5", "detector": "md_v5a"},
        "detection_categories": {"1": "animal"},
        "images": [{"file": name, "detections": boxes} for name in names],
    }
    put(folder, "md.json", json.dumps(document).encode())
    model = write_tiny_bundle(folder / "tiny")
    words = ["--model", str(model), "-o", str(folder / "x.csv"), "--detections", str(folder / "md.json"), "-q"]
    assert main(["predict", str(folder / "cards"), *words, "--html", str(folder / "timeline.html")]) == 0
    return folder / "timeline.html"


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (390, False), (390, True)])
def test_the_page_on_a_desk_and_on_a_phone(chromium: Browser, timeline: Path, width: int, dark: bool) -> None:
    asked: list[str] = []
    complaints: list[str] = []
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light")
    page = context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(timeline.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("article").count() == EVENTS
    assert page.locator("article img").evaluate_all("all => all.filter(one => !one.naturalWidth).length") == 0
    for place in page.locator("figure rect").all():
        assert place.evaluate(PLACE) == pytest.approx(BOX, abs=0.02)
    context.close()
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert complaints == []


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_everybody_can_use_it(chromium: Browser, timeline: Path, width: int, scheme: Any) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(timeline.as_uri())
    assert violations(page) == []
    context.close()


def test_the_keyboard_moves_enlarges_and_opens(chromium: Browser, timeline: Path) -> None:
    page = chromium.new_page()
    page.goto(timeline.as_uri())
    cards = page.locator("article")
    page.keyboard.press("j")
    assert cards.nth(0).evaluate("one => one === document.activeElement")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    assert page.locator("article.large").count() == 1
    assert cards.nth(1).evaluate("one => one.classList.contains('large')")
    page.keyboard.press("j")
    assert cards.nth(2).evaluate("one => one.classList.contains('large') && one === document.activeElement")
    page.keyboard.press("f")
    assert cards.nth(2).locator("li").first.is_visible()
    page.keyboard.press("Escape")
    assert page.locator("article.large").count() == 0
    for _ in range(9):
        page.keyboard.press("k")
    assert cards.nth(0).evaluate("one => one === document.activeElement")
    page.close()


def test_the_filter_shows_what_was_chosen(chromium: Browser, timeline: Path) -> None:
    page = chromium.new_page()
    page.goto(timeline.as_uri())
    page.get_by_label("Deployment").select_option("Old <b>quarry</b>")
    assert page.locator("article:visible").count() == 1
    assert page.locator("output").inner_text() == f"1 of {EVENTS} shown"
    assert page.locator("h2:visible").count() == 1
    page.get_by_label("Deployment").select_option("")
    assert page.locator("article:visible").count() == EVENTS
    page.close()


def test_it_is_whole_without_its_script(chromium: Browser, timeline: Path) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(timeline.as_uri())
    assert page.locator("article:visible").count() == EVENTS
    assert page.locator("form").is_hidden()
    page.locator("summary").first.click()
    assert page.locator("li").first.is_visible()
    context.close()
