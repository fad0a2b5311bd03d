"""What a connection and its requests held is free when they end; looking for it as garbage would hold up everybody."""

from __future__ import annotations

import gc
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest

from animal_classification.inference import Classifier
from animal_classification.serving.process import server
from animal_classification.serving.process.ports import listen
from animal_classification.serving.process.server import ServerStarted, WorkerControls
from animal_classification.serving.service import ModelService
from animal_classification.settings import Settings
from tests.unit.serving.conftest import RED, encoded

Port = int
CONNECTIONS = 8
OF_A_CONNECTION = {
    "BoundedHttpProtocol",
    "LingeringTransport",
    "RequestAuthorizer",
    "RequestResponseCycle",
    "_BoundedRequest",
    "_SelectorSocketTransport",
}


def head(method: str, path: str, length: int, kind: str = "image/jpeg") -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: localhost",
        f"Content-Type: {kind}",
        f"Content-Length: {length}",
        "",
        "",
    ]
    return "\r\n".join(lines).encode()


@pytest.fixture
def serve(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Port], None]], None]:
    """Runs a server here, and something beside it that is given its port; then the server ends."""

    async def install_models(service: ModelService, _: Settings) -> None:
        service.install(classifier)

    monkeypatch.setattr(server, "install_models", install_models)

    def serve(visit: Callable[[Port], None]) -> None:
        controls: list[WorkerControls] = []
        failed: list[BaseException] = []

        def visit_and_stop(port: Port) -> None:
            try:
                visit(port)
            except BaseException as error:  # raised below
                failed.append(error)
            finally:
                controls[0].stop()

        with listen("127.0.0.1", 0) as listener, server.ignored_signals():
            port = listener.getsockname()[1]
            settings = Settings(port=port, page=False, max_connections=4, keep_alive=2)

            def on_ready(_: ServerStarted) -> None:
                threading.Thread(target=visit_and_stop, args=(port,)).start()

            server.serve_on(
                listener, settings, on_ready=on_ready, on_warning=lambda _: None, on_running=controls.append
            )
        if failed:
            raise failed[0]

    return serve


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        (b"", False),
        (b"GET /healthz HTTP/1.1\r\nHo", False),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", True),
        (head("POST", "/v1/predict", 1000) + b"abc", False),
        (head("POST", "/v2/models/tiny/infer", 1000, "application/json") + b"{", False),
        (head("GET", "/v1/models", 1000) + b"abc", False),
        (head("POST", "/v1/predict", 10**12) + b"abc", True),
        (head("POST", "/nowhere", 3) + b"abc", True),
        (head("POST", "/v1/predict", len(encoded(RED))) + encoded(RED), True),
    ],
    ids=["silent", "half-head", "health", "half-photo", "half-json", "half-get", "too-large", "nowhere", "photo"],
)
def test_nothing_of_a_connection_waits_for_the_garbage_collector(
    serve: Callable[[Callable[[Port], None]], None], sent: bytes, answered: bool
) -> None:
    def visit(port: Port) -> None:
        gc.collect()
        gc.disable()
        try:
            for _ in range(CONNECTIONS):  # more than there is room for: some of them are shown the door
                with socket.create_connection(("127.0.0.1", port), timeout=20) as ours:
                    ours.sendall(sent)
                    assert not answered or ours.recv(4096).startswith(b"HTTP/1.1 ")
            until = time.monotonic() + 20
            while (left := counted()) and time.monotonic() < until:
                time.sleep(0.02)
            assert not left
        finally:
            gc.enable()

    serve(visit)


def counted() -> Counter[str]:
    found = (type(each).__name__ for each in gc.get_objects())
    return Counter(name for name in found if name in OF_A_CONNECTION)


def test_a_get_is_answered_when_its_message_is_there(serve: Callable[[Callable[[Port], None]], None]) -> None:
    def visit(port: Port) -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as ours:
            ours.sendall(head("GET", "/v1/models", 6) + b"abc")
            assert not select.select([ours], [], [], 0.3)[0], ours.recv(4096)
            ours.sendall(b"def")
            assert ours.recv(4096).startswith(b"HTTP/1.1 200 ")
        with socket.create_connection(("127.0.0.1", port), timeout=20) as ours:
            ours.sendall(head("GET", "/v1/models", 20_000) + b"abc")
            assert ours.recv(4096).startswith(b"HTTP/1.1 413 ")

    serve(visit)
