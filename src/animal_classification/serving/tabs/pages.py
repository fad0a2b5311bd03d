"""The routes of the tabs, and which of them there are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse, Response

from animal_classification.serving.access import OPEN, ScopedRoute, scoped
from animal_classification.serving.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from animal_classification.settings import Settings

STATIC = Path(__file__).parent / "static"
FONTS = Path(__file__).parents[1] / "page" / "static" / "fonts"
SCRIPTS = ("common.js", "theme.js", "review.js", "model.js", "monitor.js", "markdown.js", "charts.js")
FONT_FILES = ("lora.woff2", "lora-italic.woff2", "source-sans-3.woff2")
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": CONTENT_POLICY, "Cache-Control": "no-cache"}


@dataclass(frozen=True, slots=True)
class Tab:
    """One of the pages.

    Attributes:
        path: Below the server's root; all are one level deep, so that relative addresses work under any prefix.
        name: As people see it.
    """

    path: str
    name: str


CLASSIFY = Tab(".", "Classify")
REVIEW, MODEL, MONITOR = Tab("review", "Review"), Tab("model", "Model"), Tab("monitor", "Monitor")


def tabs_of(settings: Settings) -> tuple[Tab, ...]:
    """The pages of a server with these settings, the classifier's first."""
    tabs: list[Tab] = []
    if settings.page and not settings.keys_file:
        tabs.append(CLASSIFY)
    if settings.prediction_log:
        tabs.append(REVIEW)
    if settings.page or settings.prediction_log:
        tabs.append(MODEL)
    if settings.prediction_log:
        tabs.append(MONITOR)
    return tuple(tabs)


def make_router(settings: Settings) -> APIRouter:
    """The routes; each answers without the model and without the database."""
    router = APIRouter(include_in_schema=False, route_class=ScopedRoute)
    tabs = tabs_of(settings)
    for tab in tabs:
        if tab is not CLASSIFY:
            router.add_api_route(f"/{tab.path}", _show(tab, tabs), methods=["GET"], name=tab.path)

    @router.get("/tabs/tabs.css")
    @scoped(OPEN)
    async def style() -> Response:
        return Response(_style(), media_type="text/css", headers={"Cache-Control": "no-cache"})

    @router.get("/tabs/fonts/{name}")
    @scoped(OPEN)
    async def font(name: str) -> FileResponse:
        if name not in FONT_FILES:
            raise ProblemError(404, "there is no such font")
        return FileResponse(FONTS / name, media_type="font/woff2", headers={"Cache-Control": "max-age=86400"})

    @router.get("/tabs/{name}")
    @scoped(OPEN)
    async def script(name: str) -> FileResponse:
        if name not in SCRIPTS:
            raise ProblemError(404, "there is no such script")
        return FileResponse(STATIC / name, media_type="text/javascript", headers={"Cache-Control": "no-cache"})

    return router


def navigation(tabs: Sequence[Tab], current: Tab) -> str:
    """Links to the tabs, as HTML."""
    links = "".join(
        f'<a href="{tab.path}"{" aria-current=page" if tab == current else ""}>{tab.name}</a>' for tab in tabs
    )
    return f'<nav class="tabs" aria-label="Pages">{links}</nav>' if len(tabs) > 1 else ""


def _show(tab: Tab, tabs: Sequence[Tab]) -> Callable[[], Awaitable[HTMLResponse]]:
    frame = Template((STATIC / "frame.html").read_text("utf-8"))
    content = (STATIC / f"{tab.path}.html").read_text("utf-8")
    html = frame.substitute(title=tab.name, name=tab.path, navigation=navigation(tabs, tab), content=content)

    @scoped(OPEN)
    async def show() -> HTMLResponse:
        return HTMLResponse(html, headers=HEADERS)

    return show


@cache
def _style() -> str:
    return "".join((STATIC / name).read_text("utf-8") for name in ("palette.css", "tabs.css"))
