"""What stands at ``/`` before, without and with a page."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from fastapi.testclient import TestClient
from starlette.types import Receive, Scope, Send

from animal_classification.serving import create_app
from animal_classification.serving.observing import NOTES, Notes
from animal_classification.serving.page_host import PageHost
from tests.unit.serving.conftest import assert_problem


async def stand_in(scope: Scope, receive: Receive, send: Send) -> None:
    """A page that answers everything, as Gradio nearly does."""
    await PlainTextResponse(f"page: {scope['path']}")(scope, receive, send)


def test_getting_ready_refreshes_itself(client: TestClient) -> None:
    response = client.get("/")
    assert response.status_code == 200
    assert 'http-equiv="refresh"' in response.text
    assert response.headers["cache-control"] == "no-store"
    assert "http://" not in response.text
    assert client.head("/").status_code == 200
    assert client.get("/favicon.ico").headers["content-type"] == "image/svg+xml"


def test_switched_off(client_with: Any) -> None:
    text = client_with(page=False).get("/").text
    assert "switched off" in text
    assert "refresh" not in text


def test_an_explanation_replaces_the_note(app: FastAPI, client: TestClient) -> None:
    app.state.page.explain("Gradio is missing: <code>pip install</code>")
    assert "<code>pip install</code>" in client.get("/").text
    assert "refresh" not in client.get("/").text


def test_the_page_gets_its_own_paths_only(app: FastAPI, client: TestClient) -> None:
    app.state.page.show(stand_in)
    for path in ("/", "/theme.css", "/assets/a.js", "/static/x", "/fonts/lora.woff2", "/gradio_api/queue/join"):
        assert client.get(path).text == f"page: {path}"
    assert client.get("/healthz").json() == {"status": "alive"}
    for path in (
        "/gradio_api/file=/tmp/x",
        "/gradio_api/proxy=http://10.0.0.1/",
        "/gradio_api/runs",
        "/login",
        "/nowhere",
        "/gradio_api/info",
    ):
        assert_problem(client.get(path), 404)
    assert_problem(client.post("/"), 405)
    assert_problem(client.post("/healthz"), 405)


def test_browsers_may_ask_no_other_machine(app: FastAPI, client: TestClient) -> None:
    app.state.page.show(stand_in)
    policy = client.get("/").headers["content-security-policy"]
    assert policy.startswith("default-src 'self'")
    assert "http" not in policy
    assert "*" not in policy


def test_closing_ends_open_streams() -> None:
    async def scenario() -> dict[str, Any]:
        host = PageHost(wanted=True)
        ended: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        async def stream(_: Scope, receive: Receive, __: Send) -> None:
            ended.set_result(await receive())

        async def nothing_comes() -> Any:
            await asyncio.Event().wait()

        async def nobody_reads(_: Any) -> None:
            raise AssertionError

        host.show(stream)
        scope = {"type": "http", "path": "/gradio_api/heartbeat/1", "method": "GET", NOTES: Notes("1")}
        serving = asyncio.ensure_future(host(scope, nothing_comes, nobody_reads))
        await asyncio.sleep(0)
        host.close()
        await serving
        message: dict[str, Any] = await ended
        return message

    assert asyncio.run(scenario()) == {"type": "http.disconnect"}


def test_messages_pass_while_open(app: FastAPI) -> None:
    app = create_app(None)

    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse((await receive())["body"])(scope, receive, send)

    app.state.page.show(echo)
    with TestClient(app) as client:
        assert client.post("/gradio_api/upload", content=b"bytes").text == "bytes"


def test_web_sockets_are_closed(app: FastAPI) -> None:
    from starlette.websockets import WebSocketDisconnect

    with TestClient(app) as client, pytest.raises(WebSocketDisconnect), client.websocket_connect("/ws"):
        pass
