"""Traces of a real server, received by OTLP over HTTP and read as a collector would."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
messages: Any = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
pytest.importorskip("opentelemetry.exporter.otlp.proto.http")

import httpx
from PIL import Image

from tests.e2e.serving import Server
from tests.support.tiny_bundle import write_tiny_bundle

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"  # pragma: allowlist secret


class Receiver:
    """A collector that keeps what it gets."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.services: set[str] = set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.path == "/v1/traces"
                request = messages.ExportTraceServiceRequest.FromString(body)
                for resource in request.resource_spans:
                    facts = {each.key: each.value.string_value for each in resource.resource.attributes}
                    receiver.services.add(facts["service.name"])
                    for scope in resource.scope_spans:
                        receiver.spans += scope.spans
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def named(self, name: str) -> list[Any]:
        return [span for span in self.spans if span.name == name]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def photo() -> bytes:
    picture = BytesIO()
    Image.new("RGB", (64, 64), (200, 30, 30)).save(picture, "JPEG")
    return picture.getvalue()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_tiny_bundle(tmp_path / "tiny")


def test_a_request_and_its_photos_become_spans(
    receiver: Receiver, bundle: Path, photo: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.address)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "600000")  # so that what comes was sent by stopping
    words = ("--no-page", "--model", str(bundle), "--engine", "onnxruntime", "--access-log")
    server = Server(*words, folder=tmp_path, name="serve")
    try:
        files = [("files", ("a.jpg", photo)), ("files", ("b.jpg", photo)), ("files", ("c.jpg", b"none"))]
        sent = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
        answer = httpx.post(f"{server.address}/v1/predict", files=files, headers=sent)
        assert answer.status_code == 200
        own = httpx.get(f"{server.address}/healthz").headers["traceresponse"]
        server.stop()
    finally:
        server.kill()
    assert receiver.services == {"animals"}
    (request,) = receiver.named("POST /v1/predict")
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, PARENT)
    assert answer.headers["traceresponse"] == f"00-{TRACE}-{request.span_id.hex()}-01"
    assert {each.key for each in request.attributes} >= {"http.route", "http.response.status_code"}
    for name, count in (("queue", 3), ("decode", 3), ("infer", 2)):
        spans = receiver.named(name)
        assert [span.parent_span_id for span in spans] == [request.span_id] * count, name
        assert all(request.start_time_unix_nano <= span.start_time_unix_nano for span in spans), name
        assert all(span.end_time_unix_nano <= request.end_time_unix_nano for span in spans), name
    batches = {span.span_id: span for span in receiver.named("infer batch")}
    assert batches
    for span in receiver.named("infer"):
        assert batches[span.links[0].span_id].links[0].span_id == request.span_id
    (other,) = receiver.named("GET /healthz")
    assert own.split("-")[1] == other.trace_id.hex() != TRACE
    line = next(json.loads(line) for line in server.lines if '"path":"/v1/predict"' in line)
    assert line["trace_id"] == TRACE


def test_a_receiver_that_is_gone_holds_up_nobody(
    bundle: Path, photo: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    server = Server("--no-page", "--model", str(bundle), "--engine", "onnxruntime", folder=tmp_path, name="serve")
    try:
        for _ in range(20):
            assert httpx.post(f"{server.address}/v1/predict", files={"files": ("a.jpg", photo)}).status_code == 200
        server.stop()
        assert server.process.returncode == 0, server.output
    finally:
        server.kill()


@pytest.mark.parametrize(
    "variables", [{}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:4318", "OTEL_SDK_DISABLED": "true"}]
)
def test_where_nobody_receives_traces_nothing_is_imported(variables: dict[str, str]) -> None:
    code = (
        "import sys; from animal_classification.serving import create_app; app = create_app(None); "
        "assert app.traces is None; "
        "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))])"
    )
    environment = {"PATH": "", **variables}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "not as 'grpc'"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:4318", "OTEL_BSP_SCHEDULE_DELAY": "-1"}, "does not start"),
    ],
)
def test_what_cannot_be_is_said_in_the_log_and_the_server_starts(
    variables: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from animal_classification.serving import create_app

    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert create_app(None).traces is None  # type: ignore[attr-defined]
    assert words in caplog.text
