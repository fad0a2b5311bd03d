"""The process around the application; the whole of it runs in tests/e2e."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from animal_classification.errors import BundleNotFoundError
from animal_classification.serving import create_app, server
from animal_classification.settings import Settings

HOSTING = "animal_classification.serving.page.hosting"


def show_page(app: FastAPI) -> list[str]:
    trouble: list[str] = []

    async def scenario() -> None:
        async with AsyncExitStack() as stack:
            await server._show_page(app, Settings(), stack, trouble.append)

    asyncio.run(scenario())
    return trouble


def test_without_gradio_the_page_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "find_spec", lambda _: None)
    app = create_app(None)
    (line,) = show_page(app)
    assert "pip install 'animal-classification[app]'" in line
    with TestClient(app) as client:
        assert "pip install 'animal-classification[app]'" in client.get("/").text


def test_a_page_that_cannot_start_leaves_the_api_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def broken(*_: object) -> AsyncIterator[None]:
        if _:
            raise RuntimeError("no such theme")
        yield

    module = ModuleType(HOSTING)
    module.hosted_page = broken  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, HOSTING, module)
    monkeypatch.setattr(server, "find_spec", lambda _: object())
    app = create_app(None)
    (line,) = show_page(app)
    assert "no such theme" in line
    with TestClient(app) as client:
        assert "could not be started" in client.get("/").text
        assert client.get("/healthz").status_code == 200


def test_work_beside_the_loop() -> None:
    def fail() -> Any:
        raise KeyError("x")

    async def scenario() -> int:
        with pytest.raises(KeyError):
            await server._in_thread(fail)
        return await server._in_thread(lambda: 7)

    assert asyncio.run(scenario()) == 7


def test_work_that_nobody_waits_for_any_more() -> None:
    async def scenario() -> None:
        waiting = asyncio.ensure_future(server._in_thread(lambda: 7))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.sleep(0.05)
        assert waiting.cancelled()

    asyncio.run(scenario())


def test_a_model_that_is_not_there_ends_the_server(tmp_path: Path) -> None:
    settings = Settings(port=0, model=str(tmp_path / "nothing"), page=False)
    with pytest.raises(BundleNotFoundError):
        server.run_server(settings, on_ready=lambda *_: None, on_trouble=lambda _: None)
