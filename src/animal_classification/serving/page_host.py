"""What answers at ``/``: a note while the page is getting ready, then the page; of Gradio only what a page needs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from starlette._utils import get_route_path
from starlette.responses import Response

from animal_classification.serving.observing import notes_of
from animal_classification.serving.plain import plain_page
from animal_classification.serving.problems import not_found, problem_response
from animal_classification.serving.request_bounds import take

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# A browser asks for these only. Gradio serves much more: others' uploads to whoever knows their path, a proxy,
# run history, code editing…
OPEN_PATHS = {"/", "/config", "/theme.css", "/manifest.json", "/gradio_api/upload", "/gradio_api/cancel"}
OWN_PATHS = {"/", "/favicon.ico"}
OPEN_PREFIXES = (
    "/assets/",
    "/fonts/",
    "/static/",
    "/gradio_api/heartbeat/",
    "/gradio_api/queue/",
    "/gradio_api/startup-events",
)
# The browser itself then refuses to ask another machine for anything. Gradio's scripts need inline code and eval.
CONTENT_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'"
)
# Bytes that the page's browser may send at once: photos, and what it says of them.
UPLOAD, EVENT = 256 * 1024 * 1024, 256 * 1024
FAVICON = Path(__file__).with_name("favicon.svg")
SWITCHED_OFF = "The page is switched off on this server. The API is described at <a href='docs'>/docs</a>."
GETTING_READY = "The page opens here in a moment. The API answers already: see <a href='docs'>/docs</a>."


class PageHost:
    """The ASGI application for every path that no route of the API has.

    Args:
        wanted: A page will come; otherwise ``/`` says that it is switched off.
        others: Path and name of the tabs that are there in any case.
    """

    def __init__(self, *, wanted: bool, others: Sequence[tuple[str, str]] = ()) -> None:
        self._page: ASGIApp | None = None
        links = ", ".join(f"<a href='{path}'>{name}</a>" for path, name in others if path != ".")
        off = SWITCHED_OFF + (f" There is more: {links}." if links else "")
        self._title, self._text = ("Getting ready", GETTING_READY) if wanted else ("No page here", off)
        self._refresh = 1 if wanted else None
        self._closing = asyncio.Event()
        self._favicon = FAVICON.read_bytes()

    def show(self, page: ASGIApp) -> None:
        """Serve ``page`` from now on."""
        self._page = page

    def explain(self, text: str) -> None:
        """Say at ``/`` why there is no page; ``text`` is HTML."""
        self._title, self._text, self._refresh = "No page here", text, None

    def close(self) -> None:
        """End the streams that browsers hold open, which would otherwise hold up the server's stop."""
        self._closing.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000, "reason": ""})
            return
        path = get_route_path(scope)
        if path in OWN_PATHS or (self._page is not None and _is_open(path)):
            notes_of(scope).route = "page"
        if path == "/" and scope["method"] not in {"GET", "HEAD"}:
            refusal = problem_response(405, f"{scope['method']} is not possible here", headers={"Allow": "GET, HEAD"})
            await refusal(scope, receive, send)
        elif path == "/favicon.ico":
            await Response(self._favicon, media_type="image/svg+xml")(scope, receive, send)
        elif self._page is not None and _is_open(path):
            take(scope, UPLOAD if path == "/gradio_api/upload" else EVENT)
            await self._page(scope, self._until_closing(receive), _guarded(send) if path == "/" else send)
        else:
            await self._instead(path)(scope, receive, send)

    def _instead(self, path: str) -> Response:
        if path == "/":
            return plain_page(self._title, self._text, refresh=self._refresh)
        return not_found(path)

    def _until_closing(self, receive: Receive) -> Receive:
        async def receive_or_disconnect() -> Message:
            closing = asyncio.ensure_future(self._closing.wait())
            message = asyncio.ensure_future(receive())
            try:
                await asyncio.wait({closing, message}, return_when=asyncio.FIRST_COMPLETED)
                return message.result() if message.done() else {"type": "http.disconnect"}
            finally:
                closing.cancel()
                message.cancel()

        return receive_or_disconnect


def _is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith(OPEN_PREFIXES)


def _guarded(send: Send) -> Send:
    async def send_with_policy(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), (b"content-security-policy", CONTENT_POLICY.encode())]
        await send(message)

    return send_with_policy
