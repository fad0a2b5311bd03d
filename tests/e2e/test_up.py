"""The process: how it starts, answers, refuses and stops."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

from tests.e2e.serving import Server, command

Start = Callable[..., Server]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    servers: list[Server] = []

    def start(*options: str) -> Server:
        servers.append(Server(*options, folder=tmp_path))
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


def predict(server: Server, photo: bytes) -> Any:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="lion.jpg"\r\n\r\n' + photo + b"\r\n--x--\r\n"
    )
    request = urllib.request.Request(
        f"{server.address}/v1/predict", body, {"Content-Type": "multipart/form-data; boundary=x"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def test_answers_over_http(start: Start, gradio_photos: Path) -> None:
    server = start("--no-page", "--threads", "1", "--engine", "onnxruntime")
    (entry,) = predict(server, (gradio_photos / "lion.jpg").read_bytes())["predictions"]
    assert (entry["label"], entry["label_id"], entry["error"]) == ("lion", "n02129165", None)
    assert server.output.endswith("(model photos 1, onnxruntime, 1 thread)")
    assert "switched off" in server.get("/")[1]
    assert server.get("/readyz") == (200, '{"status":"ready"}')


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stops_at_once_and_quietly(start: Start, number: int) -> None:
    server = start("--no-page")
    assert server.address
    server.stop(number)
    assert server.process.returncode == 0
    assert server.output.splitlines()[1:] == ["animals: stopped"], server.output


def test_the_page_is_there_at_once_and_leaves_nothing_behind(start: Start, tmp_path: Path) -> None:
    server = start()
    assert "Drop photos here" in server.get("/")[1]
    assert server.get("/gradio/")[0] == 404
    server.stop()
    assert list(tmp_path.iterdir()) == []


def test_stops_with_browsers_connected_and_leaves_nothing_behind(start: Start, tmp_path: Path) -> None:
    pytest.importorskip("gradio")
    server = start("--gradio")
    server.wait_for_gradio()
    assert list(tmp_path.glob("animals-gradio-*"))
    with urllib.request.urlopen(f"{server.address}/gradio/gradio_api/heartbeat/visitor", timeout=20) as stream:
        assert stream.status == 200
        server.stop()
    assert server.process.returncode == 0
    assert server.output.splitlines()[1:] == ["animals: stopped"], server.output
    assert list(tmp_path.iterdir()) == []


def test_stops_while_gradio_is_getting_ready(start: Start, tmp_path: Path) -> None:
    pytest.importorskip("gradio")
    server = start("--gradio")
    assert "Getting ready" in server.get("/gradio/")[1]
    server.stop()
    assert server.process.returncode == 0
    assert server.output.splitlines()[1:] == ["animals: stopped"], server.output
    assert list(tmp_path.iterdir()) == []


def run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*options), check=False, capture_output=True, text=True, timeout=60)


def test_a_port_in_use_is_one_line_and_another_port() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run("--port", str(port))
    assert result.returncode == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert f"port {port} is in use already" in line
    assert "try --port " in line


@pytest.mark.parametrize(
    ("options", "words"),
    [(("--model", "no-such-model"), "no-such-model"), (("--host", "256.0.0.1"), "no such address")],
)
def test_a_wrong_call_is_one_line(options: tuple[str, ...], words: str) -> None:
    result = run("--port", "0", "--no-page", *options)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert words in line
