"""Gradio inside our server: imported beside the event loop, kept to a folder of its own, mounted when ready."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from animal_classification.serving.page.gradio_import import without_stub_files
from animal_classification.serving.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from animal_classification.settings import Settings

# Uploads are looked for every minute and deleted when they are this many seconds old: a visitor's event reads them at
# once, but two visitors who drop the same photo share one file, so it is not deleted right after.
SWEEP_EVERY, KEEP = 60, 300
ENVIRONMENT = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "GRADIO_SSR_MODE": "False",
    "GRADIO_MCP_SERVER": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
}


@asynccontextmanager
async def hosted_page(app: FastAPI, settings: Settings) -> AsyncIterator[None]:
    """Show the page at ``/`` of ``app`` until the context ends; then every file of Gradio's is deleted.

    Args:
        app: From ``create_app``, with a classifier installed.
        settings: Bounds on photos.
    """
    with tempfile.TemporaryDirectory(prefix="animals-page-", ignore_cleanup_errors=True) as folder:
        page = await in_thread(lambda: asyncio.run(_build(app, settings, Path(folder))))
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(page.router.lifespan_context(page))
            app.state.page.show(page)
            sweeping = asyncio.create_task(_sweep(Path(folder)))
            stack.callback(sweeping.cancel)
            yield


async def _sweep(folder: Path) -> None:
    """Remove the folders that Gradio makes for each upload, and leaves behind when it deletes the upload."""
    while True:
        await asyncio.sleep(KEEP)
        await asyncio.to_thread(remove_empty_folders, folder, KEEP)


def remove_empty_folders(folder: Path, age: float) -> None:
    """Remove the empty folders in ``folder`` in which nothing has changed for ``age`` seconds."""
    for inner in folder.iterdir():
        with suppress(OSError):  # it is not empty, or no folder
            if time.time() - inner.stat().st_mtime > age:
                inner.rmdir()


async def _build(app: FastAPI, settings: Settings, folder: Path) -> FastAPI:
    # A coroutine, because Gradio makes event loops that nobody closes where it finds none running.
    # Gradio reads its settings from the environment while it is imported, and it must not phone home.
    os.environ.update(ENVIRONMENT)
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    with without_stub_files():
        import gradio as gr

        from animal_classification.serving.page import blocks

    page = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    page.mount("/fonts", StaticFiles(directory=blocks.HERE / "static" / "fonts"))
    mounted: FastAPI = gr.mount_gradio_app(
        page,
        blocks.make_page(app.state.service, settings, folder),
        path="/",
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=settings.max_file_bytes,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        head=blocks.head(),
    )
    return mounted
