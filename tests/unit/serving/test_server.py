"""The process around the application; the whole of it runs in tests/e2e."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from animal_classification.errors import BundleNotFoundError
from animal_classification.inference import Classifier
from animal_classification.serving import create_app
from animal_classification.serving.process import server
from animal_classification.serving.process.ports import listen
from animal_classification.serving.process.server import ServerStarted, WorkerControls
from animal_classification.serving.service import ModelService
from animal_classification.serving.ui import gradio_host
from animal_classification.settings import Settings


def test_a_gradio_that_cannot_start_leaves_the_rest_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> FastAPI:
        raise RuntimeError("no such theme")

    trouble: list[str] = []
    settings = Settings(gradio=True)
    app = create_app(None, settings)

    async def scenario() -> None:
        async with AsyncExitStack() as stack:
            await server._run_gradio(app, settings, stack, trouble.append)

    monkeypatch.setattr(gradio_host, "_build", broken)
    asyncio.run(scenario())
    (line,) = trouble
    assert "no such theme" in line
    with TestClient(app) as client:
        assert "could not be started" in client.get("/gradio/").text
        assert client.get("/healthz").status_code == 200
        assert "Drop photos here" in client.get("/").text


@pytest.mark.parametrize("told", ["while it loads", "never"])
def test_a_worker_that_is_told_to_stop_while_it_loads_loads_once_and_tells_nobody_that_it_is_ready(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    loaded: list[ModelService] = []
    ready: list[ServerStarted] = []
    controls: list[WorkerControls] = []

    async def install_models(service: ModelService, _: Settings) -> None:
        if told == "while it loads":
            controls[0].stop()
            await asyncio.sleep(0.05)
        loaded.append(service)
        service.install(classifier)

    def on_ready(started: ServerStarted) -> None:
        ready.append(started)
        controls[0].stop()

    monkeypatch.setattr(server, "install_models", install_models)
    with listen("127.0.0.1", 0) as listener, server.ignored_signals():
        settings = Settings(port=listener.getsockname()[1], page=False)
        server.serve_on(listener, settings, on_ready=on_ready, on_warning=lambda _: None, on_running=controls.append)
    assert len(loaded) == 1
    assert len(ready) == (told == "never")


def test_a_model_that_is_not_there_ends_the_server(tmp_path: Path) -> None:
    settings = Settings(port=0, model=(str(tmp_path / "nothing"),), page=False)
    with pytest.raises(BundleNotFoundError):
        server.run_server(settings, on_ready=lambda *_: None, on_warning=lambda _: None)
