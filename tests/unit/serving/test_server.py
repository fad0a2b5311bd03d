"""The process around the application; the whole of it runs in tests/e2e."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import ModuleType

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from animal_classification.errors import BundleNotFoundError
from animal_classification.inference import Classifier
from animal_classification.serving import create_app, server
from animal_classification.serving.ports import listen
from animal_classification.serving.server import Controls, Started
from animal_classification.serving.service import Service
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
    assert 'pip install ".[app]"' in line
    with TestClient(app) as client:
        assert "pip install &quot;.[app]&quot;" in client.get("/").text


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


@pytest.mark.parametrize("told", ["while it loads", "never"])
def test_a_worker_that_is_told_to_stop_while_it_loads_loads_once_and_tells_nobody_that_it_is_ready(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    loaded: list[Service] = []
    ready: list[Started] = []
    controls: list[Controls] = []

    async def install_models(service: Service, _: Settings) -> None:
        if told == "while it loads":
            controls[0].stop()
            await asyncio.sleep(0.05)
        loaded.append(service)
        service.install(classifier)

    def on_ready(started: Started) -> None:
        ready.append(started)
        controls[0].stop()

    monkeypatch.setattr(server, "install_models", install_models)
    with listen("127.0.0.1", 0) as listener, server.ignored_signals():
        settings = Settings(port=listener.getsockname()[1], page=False)
        server.serve_on(listener, settings, on_ready=on_ready, on_trouble=lambda _: None, on_running=controls.append)
    assert len(loaded) == 1
    assert len(ready) == (told == "never")


def test_a_model_that_is_not_there_ends_the_server(tmp_path: Path) -> None:
    settings = Settings(port=0, model=(str(tmp_path / "nothing"),), page=False)
    with pytest.raises(BundleNotFoundError):
        server.run_server(settings, on_ready=lambda *_: None, on_trouble=lambda _: None)
