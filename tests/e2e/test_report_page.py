"""The report in a browser: nothing cut or overlapping on a phone and on a desk, nothing asked of the network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("jinja2")

from animal_classification.report.writer import PAGE, write_report
from tests.support.reported import measured

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# Boxes of words in one drawing that share more than a pixel, and words that reach out of their drawing.
COLLISIONS = """() => [...document.querySelectorAll('svg')].flatMap(svg => {
  const frame = svg.getBoundingClientRect();
  const boxes = [...svg.querySelectorAll('text')].map(text => [text.textContent, text.getBoundingClientRect()]);
  const found = boxes.filter(([, b]) => b.left < frame.left - 1 || b.right > frame.right + 1 || b.top < frame.top - 2
    || b.bottom > frame.bottom + 2).map(([words]) => 'outside: ' + words);
  boxes.forEach(([words, a], i) => boxes.slice(i + 1).forEach(([others, b]) => {
    const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (across > 1 && down > 1) found.push(words + ' over ' + others);
  }));
  return found;
})"""
# Elements that reach out of the page, or whose content is wider than they are.
CUT = """() => [...document.querySelectorAll('main *:not(svg *)')].filter(one => {
  const box = one.getBoundingClientRect();
  return box.width && (box.right > innerWidth + 0.5 || box.left < -0.5 || one.scrollWidth > Math.ceil(box.width) + 1);
}).map(one => one.tagName + ' ' + one.className + ': ' + one.textContent.slice(0, 40))"""
EMPTY = """() => [...document.querySelectorAll('svg')].filter(svg => {
  const boxes = [...svg.querySelectorAll('rect:not(.empty), line')].map(one => one.getBoundingClientRect());
  return !boxes.some(box => box.width + box.height > 1);
}).map(svg => svg.getAttribute('aria-label'))"""
BROKEN = "() => [...document.images].filter(one => !one.complete || !one.naturalWidth).map(one => one.alt)"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write_report(measured(folder), folder / "out")
    return folder / "out" / PAGE


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (390, False), (390, True), (320, False)])
def test_nothing_is_cut_or_lies_over_another_thing(chromium: Browser, report: Path, width: int, dark: bool) -> None:
    asked: list[str] = []
    complaints: list[str] = []
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light")
    page: Page = context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(report.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(COLLISIONS) == []
    assert page.evaluate(CUT) == []
    assert page.evaluate(EMPTY) == []
    assert page.evaluate(BROKEN) == []
    assert page.locator("img").count() > 10
    assert page.get_by_role("heading", name="In one minute").is_visible()
    context.close()
    assert [url for url in asked if not url.startswith("data:")] == [report.as_uri()]
    assert complaints == []


def test_it_can_be_printed(chromium: Browser, report: Path) -> None:
    page = chromium.new_page(viewport={"width": 794, "height": 1123})
    page.goto(report.as_uri())
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= 794
    assert page.evaluate(COLLISIONS) == []
    document = page.pdf(prefer_css_page_size=True, print_background=True)
    page.close()
    assert document.startswith(b"%PDF")
    assert 2 <= document.count(b"/Type /Page\n") + document.count(b"/Type/Page\n") <= 12
