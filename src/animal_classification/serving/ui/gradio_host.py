"""Gradio inside our server, at ``/gradio``: imported when everything else answers, and kept within bounds.

Of what Gradio serves, only what its page and ``gradio_client`` need can be reached.
"""

# Imported where they are used: Gradio takes seconds to load, is an extra, and reads its settings while it is imported.

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from fastapi import FastAPI

from animal_classification.serving.batching.slow_work import in_thread
from animal_classification.serving.http.problem_details import not_found
from animal_classification.serving.http.request_path import path_below_root
from animal_classification.serving.middleware.request_bounds import allow_body
from animal_classification.serving.process.memory_plan import with_memory_bounds
from animal_classification.serving.ui.gradio_uploads import UploadFolder, sweep_forever, temporary_folder
from animal_classification.serving.ui.pages import plain_page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from animal_classification.settings import Settings

GRADIO_PATH = "/gradio"
UPLOAD = "/gradio_api/upload"
# Bytes of a request to Gradio: names of uploaded files, not the files.
QUESTION = 256 * 1024
# Gradio serves much more: a proxy, run history, code editing…
OPEN_PATHS = {
    "/",
    "/config",
    "/theme.css",
    "/manifest.json",
    UPLOAD,
    "/gradio_api/upload_progress",
    "/gradio_api/cancel",
    "/gradio_api/info",
}
OPEN_PREFIXES = (
    "/assets/",
    "/static/",
    "/gradio_api/call/",
    "/gradio_api/file=",
    "/gradio_api/heartbeat/",
    "/gradio_api/queue/",
    "/gradio_api/run/",  # loads an example; what has a queue cannot be asked past it
    "/gradio_api/startup-events",
)
# The browser itself then refuses to ask another machine for anything. Gradio's scripts need inline code and eval.
CONTENT_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'"
)
ENVIRONMENT = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "GRADIO_SSR_MODE": "False",
    "GRADIO_MCP_SERVER": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
}
GETTING_READY = "Gradio opens here in a moment. The <a href='../'>page</a> answers already."


class GradioHost:
    """The ASGI application at ``/gradio``: a placeholder until Gradio is ready, then Gradio."""

    def __init__(self) -> None:
        self._page: ASGIApp | None = None
        self._uploads = UploadFolder(Path(), 0)
        self._title, self._text, self._refresh = "Getting ready", GETTING_READY, 1
        self._closing = asyncio.Event()

    def show_reason(self, text: str) -> None:
        """Say why there is no Gradio; ``text`` is HTML."""
        self._title, self._text, self._refresh = "No Gradio here", text, 0

    def close(self) -> None:
        """End the streams that browsers hold open, which would otherwise hold up the server's stop."""
        self._closing.set()

    @asynccontextmanager
    async def running(self, app: FastAPI, settings: Settings) -> AsyncIterator[None]:
        """Show Gradio over ``app`` until the context ends; then every file of Gradio's is deleted."""
        with temporary_folder() as folder:
            page = await in_thread(lambda: asyncio.run(_build(app, settings, folder)))
            self._uploads = UploadFolder(folder, with_memory_bounds(settings).max_memory_bytes)
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(page.router.lifespan_context(page))
                Thread(target=sweep_forever, args=[folder], name="gradio-sweeper", daemon=True).start()
                self._page = page
                yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000, "reason": ""})
            return
        path = path_below_root(scope)
        if self._page is None or not (path in OPEN_PATHS or path.startswith(OPEN_PREFIXES)):
            await self._placeholder(path)(scope, receive, send)
        elif path == UPLOAD:
            allow_body(scope, self._uploads.max_bytes)
            await self._uploads.receive(self._page, scope, receive, send)
        else:
            allow_body(scope, QUESTION)
            await self._page(scope, self._until_closing(receive), _with_content_policy(send) if path == "/" else send)

    def _placeholder(self, path: str) -> Response:
        if path in {"", "/"}:
            return plain_page(self._title, self._text, refresh=self._refresh or None)
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


async def _build(app: FastAPI, settings: Settings, folder: Path) -> FastAPI:
    # A coroutine, because Gradio makes an event loop, and never closes it, where none is running.
    # Gradio reads its settings from the environment while it is imported, and it must not phone home.
    os.environ.update(ENVIRONMENT)
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    import gradio as gr

    from animal_classification.serving.ui.gradio_app import ServerBackend, make_demo

    mounted: FastAPI = gr.mount_gradio_app(
        FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
        make_demo(ServerBackend(app)),
        path="/",
        root_path=f"{settings.root_path}{GRADIO_PATH}",
        footer_links=["api"],
        run_history=False,
        max_file_size=settings.max_file_bytes,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
    )
    return mounted


def _with_content_policy(send: Send) -> Send:
    async def send_with_policy(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), (b"content-security-policy", CONTENT_POLICY.encode())]
        await send(message)

    return send_with_policy
