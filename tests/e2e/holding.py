"""Holds a page's requests back, so that a test and not chance decides what comes first."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.e2e.serving import wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route


class Held:
    """The first requests of a pattern from now on; those after them pass.

    Args:
        page: Whose.
        pattern: Of their addresses, as Playwright has it.
        method: Only these.
        passing: How many pass before the first that is held.
        count: How many are held.
    """

    def __init__(self, page: Page, pattern: str, *, method: str = "GET", passing: int = 0, count: int = 1) -> None:
        self._page, self._method, self._passing, self._count = page, method, passing, count
        self._routes: list[Route] = []
        page.route(pattern, self._on_route)

    def _on_route(self, route: Route) -> None:
        if route.request.method != self._method:
            route.fallback()
        elif self._passing:
            self._passing -= 1
            route.fallback()
        elif self._count:
            self._count -= 1
            self._routes.append(route)
        else:
            route.fallback()

    def wait(self) -> None:
        """Until all of them are on their way."""
        until(self._page, lambda: self._count == 0, "the request")

    def go(
        self, status: int | None = None, *, kind: str = "", json: object = None, wait: int = 0, settled: bool = True
    ) -> None:
        """Let the oldest go, to the server or to another answer, and wait until the page has dealt with that.

        ``wait`` is the Retry-After of a refusal, in seconds; ``settled`` is false where this page ends with the answer.
        """
        self.wait()
        route = self._routes.pop(0)
        problem = {"type": f"urn:animals:problem:{kind}", "status": status, "detail": "not now"}
        with self._page.expect_event("requestfinished", lambda request: request == route.request):
            if status is None:
                route.continue_()
            else:
                headers = {"Retry-After": str(wait)} if wait else {}
                route.fulfill(status=status, headers=headers, json=problem if json is None else json)
        if settled:
            settle(self._page)

    def lose(self) -> None:
        """Let the oldest go nowhere: no answer comes."""
        self.wait()
        route = self._routes.pop(0)
        with self._page.expect_event("requestfailed", lambda request: request == route.request):
            route.abort()
        settle(self._page)


def until(page: Page, check: Callable[[], object], what: str) -> None:
    """Wait for something that a listener of the page notes: while Python only sleeps, no listener is called."""

    def look() -> bool | None:
        page.wait_for_timeout(10)
        return bool(check()) or None

    wait_for(look, what, lambda: page.url)


def settle(page: Page) -> None:
    """Until the page has dealt with whatever came before: an answer that it asks for now comes after those."""
    page.evaluate("() => fetch('tabs/theme.js', { cache: 'no-store' }).then((answer) => answer.text())")
