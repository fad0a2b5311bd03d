"""Gradio inside our server, at ``/gradio``: imported when everything else answers, and kept within bounds.

Its uploads lie in a folder of their own, which is bounded, swept and removed. Of what Gradio serves, only what its page
and ``gradio_client`` ask for can be reached.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from fastapi import FastAPI

from animal_classification.common.file_lock import locked
from animal_classification.serving.batching.slow_work import in_thread
from animal_classification.serving.http.problem_details import not_found, problem_response
from animal_classification.serving.http.request_path import path_below_root
from animal_classification.serving.http.uploads import readable_size
from animal_classification.serving.middleware.request_bounds import take
from animal_classification.serving.process.memory_plan import fitted
from animal_classification.serving.ui.placeholder_pages import plain_page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from fastapi.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from animal_classification.settings import Settings

GRADIO_PATH = "/gradio"
# Uploads are looked for every minute and deleted when they are this many seconds old.
SWEEP_EVERY, KEEP = 60, 300
PREFIX = "animals-gradio-"
LOCK = "lock"
UPLOAD = "/gradio_api/upload"
# Bytes of a question to Gradio: names of uploaded files, not the files.
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
    """The ASGI application at ``/gradio``: a note while Gradio is getting ready, then Gradio."""

    def __init__(self) -> None:
        self._page: ASGIApp | None = None
        self._uploads = Uploads(Path(), 0)
        self._title, self._text, self._refresh = "Getting ready", GETTING_READY, 1
        self._closing = asyncio.Event()

    def explain(self, text: str) -> None:
        """Say why there is no Gradio; ``text`` is HTML."""
        self._title, self._text, self._refresh = "No Gradio here", text, 0

    def close(self) -> None:
        """End the streams that browsers hold open, which would otherwise hold up the server's stop."""
        self._closing.set()

    @asynccontextmanager
    async def shown(self, app: FastAPI, settings: Settings) -> AsyncIterator[None]:
        """Show Gradio over ``app`` until the context ends; then every file of Gradio's is deleted."""
        with _folder() as folder:
            page = await in_thread(lambda: asyncio.run(_build(app, settings, folder)))
            self._uploads = Uploads(folder, fitted(settings).max_memory_bytes)
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
            await self._instead(path)(scope, receive, send)
        elif path == UPLOAD:
            take(scope, self._uploads.most)
            await self._uploads.take(self._page, scope, receive, send)
        else:
            take(scope, QUESTION)
            await self._page(scope, self._until_closing(receive), _guarded(send) if path == "/" else send)

    def _instead(self, path: str) -> Response:
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


class Uploads:
    """Bounds what lies in ``folder``, and what is on its way there, to ``most`` bytes together."""

    def __init__(self, folder: Path, most: int) -> None:
        self._folder = folder
        self.most = most
        self._coming = 0

    async def take(self, page: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Let ``page`` receive an upload, unless it finds no room."""
        length = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
        if not length.isdigit():
            await problem_response(411, "an upload must say how long it is")(scope, receive, send)
            return
        size = int(length)
        self._coming += size
        try:
            if await asyncio.to_thread(_bytes_in, self._folder) + self._coming > self.most:
                detail = f"more than {readable_size(self.most)} of uploads are here already; try again in a minute"
                refusal = problem_response(503, detail, kind="busy", headers={"Retry-After": "60"})
                await refusal(scope, receive, send)
            else:
                await page(scope, receive, send)
        finally:
            self._coming -= size


def sweep(folder: Path, age: float) -> None:
    """Remove what has not changed for ``age`` seconds: uploads that were broken off, and folders that are empty.

    Gradio deletes what it knows of; of an upload that never ended it knows nothing.
    """
    for path in sorted(folder.rglob("*"), reverse=True):
        with suppress(OSError):  # it is gone, or not empty
            if path != folder / LOCK and time.time() - path.stat().st_mtime > age:
                path.rmdir() if path.is_dir() else path.unlink()


def sweep_forever(folder: Path) -> None:
    """Sweep ``folder`` every minute, as long as it is there."""
    while folder.is_dir():
        sweep(folder, KEEP)
        time.sleep(SWEEP_EVERY)


def remove_orphans(parent: Path) -> None:
    """Remove the folders in ``parent`` whose process ended without doing so, however it ended."""
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):
            descriptor = locked(folder / LOCK)
            if descriptor is not None:
                os.close(descriptor)
                shutil.rmtree(folder)


@contextmanager
def _folder() -> Iterator[Path]:
    remove_orphans(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as name:
        lock = locked(Path(name) / LOCK)
        try:
            yield Path(name)
        finally:
            if lock is not None:
                os.close(lock)


def _bytes_in(folder: Path) -> int:
    sizes = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            sizes += path.stat().st_size
    return sizes


async def _build(app: FastAPI, settings: Settings, folder: Path) -> FastAPI:
    # A coroutine, because Gradio makes event loops that nobody closes where it finds none running.
    # Gradio reads its settings from the environment while it is imported, and it must not phone home.
    os.environ.update(ENVIRONMENT)
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    import gradio as gr

    from animal_classification.serving.ui.gradio_app import OverServer, make_demo

    mounted: FastAPI = gr.mount_gradio_app(
        FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
        make_demo(OverServer(app)),
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


def _guarded(send: Send) -> Send:
    async def send_with_policy(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), (b"content-security-policy", CONTENT_POLICY.encode())]
        await send(message)

    return send_with_policy
