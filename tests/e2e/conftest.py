"""A server and a browser, each started once; every page is watched for errors and for requests to other machines."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.serving import Server, command

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response, Route, WebError

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]


@dataclass(frozen=True)
class Site:
    """A server as its visitors know it: where it is, and the key that they have."""

    address: str
    key: str | None = None


@pytest.fixture(scope="session", params=["animals up", "keys, two workers and a prefix"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    pytest.importorskip("uvicorn", reason="the page needs the extra app")
    folder, key = tmp_path_factory.mktemp("server"), None
    if request.param == "animals up":
        server = Server(folder=folder)
    else:
        keys = tmp_path_factory.mktemp("keys") / "keys.json"
        made = subprocess.run(
            [*command("create", "visitor", "--scope", "predict", "--file", str(keys), name="keys")],
            check=True,
            capture_output=True,
            text=True,
        )
        key = made.stdout.strip()
        options = ("--workers", "2", "--keys-file", str(keys), "--root-path", "/animals", "--engine", "onnxruntime")
        server = Server(*options, folder=folder, name="serve")
    yield Site(server.address, key)
    server.kill()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api", reason="the browser tests need: pip install playwright")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("the browser tests need chromium: apt-get install chromium")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=path, args=FLAGS, headless=True)
        yield browser
        browser.close()


class Watch:
    """What a page asked for and complained of."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.asked: list[str] = []
        self.elsewhere: list[str] = []
        self.complaints: list[str] = []
        self._address = address
        context.route("**/*", self._on_route)
        context.on("console", self._on_console)
        context.on("weberror", self._on_error)
        context.on("response", self._on_response)

    def _on_route(self, route: Route, request: Request) -> None:
        self.asked.append(request.url)
        if request.url.startswith((self._address, "data:", "blob:")):
            route.continue_()
        else:
            self.elsewhere.append(request.url)
            route.abort()

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.type}: {message.text}")

    def _on_error(self, error: WebError) -> None:
        self.complaints.append(str(error.error))

    def _on_response(self, response: Response) -> None:
        if response.status >= 400:
            self.complaints.append(f"{response.status} {response.url}")

    def assert_clean(self) -> None:
        assert self.elsewhere == []
        assert self.complaints == []
        assert self.asked


@pytest.fixture
def context_options() -> dict[str, Any]:
    """Overridden by tests that need another screen."""
    return {"viewport": {"width": 1440, "height": 900}}


def signed_in(context: BrowserContext, site: Site) -> Page:
    """The start page, by whoever has a key where one is needed."""
    if site.key:
        store = f"sessionStorage.setItem('animals.key', {site.key!r})"
        context.add_init_script(f"if (location.protocol === 'http:') {store}")
    page = context.new_page()
    page.goto(f"{site.address}/")
    return page


@pytest.fixture
def page(site: Site, chromium: Browser, context_options: dict[str, Any]) -> Iterator[Page]:
    """The start page in a fresh browser profile, signed in where that is needed."""
    context = chromium.new_context(**context_options)
    watch = Watch(context, site.address)
    page = signed_in(context, site)
    page.get_by_role("heading", name="Which animal is this?").wait_for()
    page.locator(".intake").wait_for()
    yield page
    context.close()
    watch.assert_clean()


@pytest.fixture(scope="session")
def gradio_photos() -> Path:
    gradio = pytest.importorskip("gradio")
    return Path(gradio.__file__).parent / "media_assets" / "images"
