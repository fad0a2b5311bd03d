"""The documentation's site, as `make docs` built it, in a browser with axe-core."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.accessibility import SCREENS, violations

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SITE = Path(__file__).parents[2] / "build/site"
# One page of each kind: code to copy, wide tables, a generated reference, and the one for what is not there.
SOME = ["install/index.html", "evaluation/index.html", "reference/cli/index.html", "404.html"]
PAGES = sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html"))


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    if not PAGES:
        pytest.skip("the site is not built: make docs")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(SITE))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def check(chromium: Browser, address: str, pages: list[str], screen: tuple[int, str]) -> None:
    width, scheme = screen
    context = chromium.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if scheme == "dark" else "light"
    )
    page = context.new_page()
    found = []
    for name in pages:
        page.goto(f"{address}/{name}")
        found += [f"{name}: {line}" for line in violations(page)]
    context.close()
    assert found == []


@pytest.mark.parametrize("screen", [SCREENS[0], SCREENS[3]], ids=str)
def test_some_pages_are_accessible(chromium: Browser, address: str, screen: tuple[int, str]) -> None:
    check(chromium, address, SOME, screen)


@pytest.mark.nightly
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("screen", SCREENS, ids=str)
def test_every_page_is_accessible(chromium: Browser, address: str, screen: tuple[int, str]) -> None:
    check(chromium, address, PAGES, screen)
