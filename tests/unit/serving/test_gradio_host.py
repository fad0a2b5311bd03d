"""What stands at ``/gradio``: a note, then of Gradio only what its page and its client need, within bounds."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from fastapi.testclient import TestClient
from starlette.types import Receive, Scope, Send

from animal_classification.errors import UsageError
from animal_classification.serving import create_app
from animal_classification.serving.ui.gradio_host import GradioHost
from animal_classification.serving.ui.gradio_uploads import LOCK, UploadFolder, remove_orphans, sweep
from animal_classification.settings import Settings
from tests.unit.serving.conftest import assert_problem

UPLOAD = "/gradio/gradio_api/upload"


async def stand_in(scope: Scope, receive: Receive, send: Send) -> None:
    """A page that answers everything, as Gradio nearly does."""
    body = (await receive()).get("body", b"").decode()
    await PlainTextResponse(f"page: {scope['path']} {body}")(scope, receive, send)


@pytest.fixture
def app() -> FastAPI:
    return create_app(None, Settings(gradio=True))


def show(app: FastAPI, folder: Path, most: int = 1000) -> None:
    host: GradioHost = app.state.gradio
    host._page, host._uploads = stand_in, UploadFolder(folder, most)


def test_getting_ready_refreshes_itself(app: FastAPI) -> None:
    with TestClient(app) as client:
        response = client.get("/gradio/")
        assert response.status_code == 200
        assert 'http-equiv="refresh"' in response.text
        assert_problem(client.get("/gradio/config"), 404)


def test_without_the_option_there_is_none() -> None:
    with TestClient(create_app(None)) as client:
        assert_problem(client.get("/gradio/"), 404)


def test_only_what_a_page_and_a_client_need_can_be_reached(app: FastAPI, tmp_path: Path) -> None:
    show(app, tmp_path)
    with TestClient(app) as client:
        for path in (
            "/",
            "/config",
            "/theme.css",
            "/assets/a.js",
            "/gradio_api/queue/join",
            "/gradio_api/call/predict",
        ):
            assert client.get(f"/gradio{path}").text.startswith("page: ")
        for path in ("/gradio_api/proxy=http://10.0.0.1/", "/gradio_api/runs", "/login", "/monitoring", "/x"):
            assert_problem(client.get(f"/gradio{path}"), 404)
        policy = client.get("/gradio/").headers["content-security-policy"]
        assert policy.startswith("default-src 'self'")
        assert "http" not in policy
        assert client.get("/healthz").json() == {"status": "alive"}


def test_uploads_are_bounded_together(app: FastAPI, tmp_path: Path) -> None:
    show(app, tmp_path, most=100)
    with TestClient(app) as client:
        assert client.post(UPLOAD, content=b"x" * 60).text.endswith("x" * 60)
        (tmp_path / "there").write_bytes(b"x" * 50)
        refused = client.post(UPLOAD, content=b"x" * 60)
        assert_problem(refused, 503, "busy")
        assert refused.headers["retry-after"] == "60"
        assert client.post(UPLOAD, content=b"x" * 50).status_code == 200
        assert_problem(client.post(UPLOAD, content=iter([b"x"])), 411)


def test_what_was_broken_off_is_swept(tmp_path: Path) -> None:
    for name in ("old", "new", "used"):
        (tmp_path / name).mkdir()
    for name in ("broken-off", "fresh", "used/photo", LOCK):
        (tmp_path / name).write_bytes(b"x")
    for name in ("old", "broken-off", LOCK):
        os.utime(tmp_path / name, (0, 0))
    sweep(tmp_path, 300)
    assert {path.name for path in tmp_path.iterdir()} == {"new", "used", "fresh", LOCK}
    assert (tmp_path / "used" / "photo").exists()


def test_the_folders_of_dead_processes_are_removed_and_of_living_ones_not(tmp_path: Path) -> None:
    script = (
        "import sys; from animal_classification.serving.ui import gradio_uploads as g; import tempfile;"
        f"tempfile.tempdir = {str(tmp_path)!r};"
        "context = g.temporary_folder(); folder = context.__enter__(); (folder / 'photo').write_bytes(b'x');"
        "print(folder, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        assert folder.parent == tmp_path
        remove_orphans(tmp_path)
        assert (folder / "photo").exists()
        process.kill()
    remove_orphans(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_closing_ends_open_streams(tmp_path: Path) -> None:
    async def scenario() -> dict[str, Any]:
        host = GradioHost()
        ended: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        async def stream(_: Scope, receive: Receive, __: Send) -> None:
            ended.set_result(await receive())

        async def nothing_comes() -> Any:
            await asyncio.Event().wait()

        async def nobody_reads(_: Any) -> None:
            raise AssertionError

        host._page = stream
        scope = {"type": "http", "path": "/gradio_api/heartbeat/1", "method": "GET"}
        serving = asyncio.ensure_future(host(scope, nothing_comes, nobody_reads))
        await asyncio.sleep(0)
        host.close()
        await serving
        message: dict[str, Any] = await ended
        return message

    assert asyncio.run(scenario()) == {"type": "http.disconnect"}


@pytest.mark.parametrize("settings", [{"workers": 2}, {"keys_file": "keys.json"}])
def test_where_gradio_cannot_be_is_told_in_one_line(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="gradio"):
        Settings(gradio=True, **settings)
