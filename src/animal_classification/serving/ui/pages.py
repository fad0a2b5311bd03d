"""The routes of the pages, and which of them there are. Each is plain files: what it shows comes from the API."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse, Response

from animal_classification.predict.table import columns
from animal_classification.serving.http.plain_words import counted
from animal_classification.serving.http.problem_details import ProblemError
from animal_classification.serving.http.uploads import file_too_large
from animal_classification.serving.middleware.route_scopes import OPEN, ScopedRoute, requires

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from animal_classification.settings import Settings

STATIC = Path(__file__).parent / "static"
FAVICON = Path(__file__).parent / "favicon.svg"
SCRIPTS = (
    "answers.js",
    "boxes.js",
    "charts.js",
    "classify.js",
    "common.js",
    "csv.js",
    "drift.js",
    "events.js",
    "intake.js",
    "keeping.js",
    "model.js",
    "monitor.js",
    "previews.js",
    "review.js",
    "review_classes.js",
    "sending.js",
    "theme.js",
    "turns.js",
)
STYLES = ("palette.css", "tabs.css", "classify.css")
FONT_FILES = ("lora.woff2", "lora-italic.woff2", "source-sans-3.woff2")
# Photos to try, and what their buttons say; NOTICE tells where they come from.
EXAMPLES = {"cat": "A cat", "raccoon": "A raccoon", "astronaut": "An astronaut", "coffee": "No animal at all"}
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": CONTENT_POLICY, "Cache-Control": "no-cache"}
A_DAY = {"Cache-Control": "max-age=86400"}
SWITCHED_OFF = "The page is switched off on this server. The API is described at <a href='docs'>/docs</a>."
_PLAIN_PAGE = Template("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
$refresh
<title>$title</title>
<link rel="icon" href="favicon.ico">
<style>
  :root { color-scheme: light dark; --paper: #f7f4ec; --ink: #1e2b23; --leaf: #2c6a4b; }
  @media (prefers-color-scheme: dark) { :root { --paper: #131a16; --ink: #edf0e6; --leaf: #8fcba6; } }
  body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--paper); color: var(--ink);
         font: 1.25rem/1.6 ui-sans-serif, system-ui, sans-serif; }
  main { max-width: 36rem; padding: 2rem; }
  h1 { font: 500 2.5rem/1.2 ui-serif, Georgia, serif; margin: 0 0 1rem; }
  a { color: var(--leaf); }
  code { font-size: .9em; overflow-wrap: anywhere; }
</style>
</head>
<body><main><h1>$title</h1><p>$text</p></main></body>
</html>
""")


@dataclass(frozen=True, slots=True)
class Tab:
    """One of the pages.

    Attributes:
        path: Below the server's root; all are one level deep, so that relative addresses work under any prefix.
        name: As people see it.
        file: Name of its script and of its content.
        title: In the browser's title bar.
    """

    path: str
    name: str
    file: str
    title: str


CLASSIFY = Tab(".", "Classify", "classify", "Which animal is this?")
REVIEW, MODEL, MONITOR = (Tab(name.lower(), name, name.lower(), name) for name in ("Review", "Model", "Monitor"))


def tabs_of(settings: Settings) -> tuple[Tab, ...]:
    """The pages of a server with these settings, the classifier's first."""
    tabs: list[Tab] = []
    if settings.page:
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
        path = "/" if tab is CLASSIFY else f"/{tab.path}"
        router.add_api_route(path, _show(_html(tab, tabs, settings)), methods=["GET", "HEAD"], name=tab.file)
    if CLASSIFY not in tabs:
        router.add_api_route("/", _switched_off(tabs), methods=["GET", "HEAD"], name="no-page")
    _add_files(router)
    return router


def _add_files(router: APIRouter) -> None:
    @router.get("/favicon.ico")
    @requires(OPEN)
    async def favicon() -> FileResponse:
        return FileResponse(FAVICON, media_type="image/svg+xml", headers=A_DAY)

    @router.get("/tabs/tabs.css")
    @requires(OPEN)
    async def style() -> Response:
        return Response(_style(), media_type="text/css", headers={"Cache-Control": "no-cache"})

    @router.get("/tabs/fonts/{name}")
    @requires(OPEN)
    async def font(name: str) -> FileResponse:
        if name not in FONT_FILES:
            raise ProblemError(404, "there is no such font")
        return FileResponse(STATIC / "fonts" / name, media_type="font/woff2", headers=A_DAY)

    @router.get("/tabs/examples/{name}")
    @requires(OPEN)
    async def example(name: str) -> FileResponse:
        if name.removesuffix(".jpg") not in EXAMPLES:
            raise ProblemError(404, "there is no such photo")
        return FileResponse(example_path(name.removesuffix(".jpg")), media_type="image/jpeg", headers=A_DAY)

    @router.get("/tabs/{name}")
    @requires(OPEN)
    async def script(name: str) -> FileResponse:
        if name not in SCRIPTS:
            raise ProblemError(404, "there is no such script")
        return FileResponse(STATIC / name, media_type="text/javascript", headers={"Cache-Control": "no-cache"})


def example_path(name: str) -> Path:
    """Where one of ``EXAMPLES`` lies."""
    return STATIC / "examples" / f"{name}.jpg"


def plain_page(title: str, text: str, *, refresh: int | None = None, status: int = 200) -> HTMLResponse:
    """A small page for when the real one is not there: getting ready, not installed, switched off.

    Args:
        title: Heading, as HTML.
        text: Paragraph, as HTML.
        refresh: Seconds after which a browser asks again.
        status: The HTTP status.
    """
    again = f'<meta http-equiv="refresh" content="{refresh}">' if refresh is not None else ""
    html = _PLAIN_PAGE.substitute(title=title, text=text, refresh=again)
    return HTMLResponse(html, status_code=status, headers={"Cache-Control": "no-store"})


def navigation(tabs: Sequence[Tab], current: Tab) -> str:
    """Links to the tabs, as HTML."""
    links = "".join(
        f'<a href="{tab.path}"{" aria-current=page" if tab == current else ""}>{tab.name}</a>' for tab in tabs
    )
    return f'<nav class="tabs" aria-label="Pages">{links}</nav>' if len(tabs) > 1 else ""


def what_is_kept(settings: Settings) -> str:
    """What becomes of a photo, in one sentence that is true."""
    if settings.keep_photos == "no":
        kept = "; what I say of them is, for the review" if settings.prediction_log else ""
        return f"Photos go nowhere else and are not kept{kept}."
    what = "small copies of them" if settings.keep_photos == "thumbnail" else "they"
    days = f" for {counted(round(settings.photo_days), 'day')}" if settings.photo_days else ""
    longer = "; reviewed ones stay longer" if days and settings.keep_corrections else ""
    return f"Photos go nowhere else; {what} are kept on this server{days}, for the review{longer}."


def _html(tab: Tab, tabs: Sequence[Tab], settings: Settings) -> str:
    content, footer = _file(f"{tab.file}.html"), ""
    if tab is CLASSIFY:
        content = Template(content).substitute(_classify_values(settings))
        footer = f'{escape(what_is_kept(settings))} <a href="model">About the model</a>. '
    return Template(_file("frame.html")).substitute(
        title=tab.title, name=tab.file, navigation=navigation(tabs, tab), content=content, footer=footer
    )


def _classify_values(settings: Settings) -> dict[str, object]:
    pictures = {name: f'<img src="tabs/examples/{name}.jpg" alt="">' for name in EXAMPLES}
    buttons = "".join(
        f'<li><button type="button" data-example="{name}">{pictures[name]}<span>{title}</span></button></li>\n    '
        for name, title in EXAMPLES.items()
    )
    return {
        "detections": "true" if settings.detector else "false",
        "max_files": settings.max_files,
        "max_file_bytes": settings.max_file_bytes,
        "max_request_bytes": settings.max_request_bytes,
        "too_large": escape(file_too_large(settings.max_file_bytes)),
        "columns": ",".join(columns(5)),
        "examples": buttons,
        "stack": "".join(pictures.values()),
    }


def _show(html: str) -> Callable[[], Awaitable[HTMLResponse]]:
    @requires(OPEN)
    async def show() -> HTMLResponse:
        return HTMLResponse(html, headers=HEADERS)

    return show


def _switched_off(tabs: Sequence[Tab]) -> Callable[[], Awaitable[HTMLResponse]]:
    links = ", ".join(f"<a href='{tab.path}'>{tab.name}</a>" for tab in tabs)
    text = SWITCHED_OFF + (f" There is more: {links}." if links else "")

    @requires(OPEN)
    async def off() -> HTMLResponse:
        return plain_page("No page here", text)

    return off


def _file(name: str) -> str:
    return (STATIC / name).read_text("utf-8")


@cache
def _style() -> str:
    return "".join(_file(name) for name in STYLES)
