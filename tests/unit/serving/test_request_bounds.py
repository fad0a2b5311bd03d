"""The layer around all routes: whoever adds a route, its bodies and its time are bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from animal_classification.inference import Classifier
from animal_classification.serving import create_app
from animal_classification.serving.http.problem_details import ProblemError
from animal_classification.serving.middleware.client_connection import KEY, MessageArrival
from animal_classification.serving.middleware.request_bounds import SMALL, BodyMemory, allow_any_time, allow_body
from animal_classification.settings import MIB, Settings
from tests.unit.serving.conftest import RED, assert_problem, encoded, send
from tests.unit.serving.test_request_log import read_metrics, value

MakeClient = Callable[..., TestClient]


async def foreign(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that somebody else wrote, which believes in its clients."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RuntimeError("nobody is prepared for that")
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def with_new_routes(classifier: Classifier) -> Iterator[Callable[..., TestClient]]:
    opened: list[TestClient] = []

    def make(memory: BodyMemory | None = None, **settings: Any) -> TestClient:
        app = create_app(classifier, Settings(**settings), memory=memory)

        @app.post("/new")
        async def new(request: Request) -> int:
            return len(await request.body())

        @app.post("/large")
        async def large(request: Request) -> int:
            allow_body(request.scope, 10 * SMALL)
            return len(await request.body())

        @app.get("/stuck")
        async def stuck() -> None:
            await asyncio.Event().wait()

        @app.get("/patient")
        async def patient(request: Request) -> str:
            allow_any_time(request.scope)
            await asyncio.sleep(0.2)
            return "done"

        app.mount("/foreign", foreign)
        client = TestClient(app, raise_server_exceptions=False)
        opened.append(client.__enter__())
        return client

    yield make
    for client in opened:
        client.__exit__(None, None, None)


def pieces(size: int) -> Iterator[bytes]:
    for _ in range(size // 1000):
        yield b" " * 1000


@pytest.mark.parametrize("path", ["/new", "/foreign/"])
def test_a_route_that_says_nothing_takes_little(with_new_routes: MakeClient, path: str) -> None:
    client = with_new_routes()
    assert client.post(path, content=b" " * SMALL).status_code == 200
    assert_problem(client.post(path, content=b" " * (SMALL + 1)), 413, "request-too-large")
    assert_problem(client.post(path, content=pieces(50_000)), 413, "request-too-large")


@pytest.mark.parametrize("length", ["9" * 5000, "00000000000000000099999"])
def test_lengths_that_cannot_be_are_refused(with_new_routes: MakeClient, length: str) -> None:
    refused = with_new_routes().post("/new", content=b"", headers={"content-length": length})
    assert_problem(refused, 413, "request-too-large")


def test_a_route_that_takes_more_says_so(with_new_routes: MakeClient) -> None:
    client = with_new_routes()
    assert client.post("/large", content=b" " * 5 * SMALL).json() == 5 * SMALL
    assert_problem(client.post("/large", content=b" " * 11 * SMALL), 413, "request-too-large")


@pytest.mark.parametrize("settings", [{}, {"prediction_log": True}])
def test_feedback_is_small(
    client_with: MakeClient, tmp_path_factory: pytest.TempPathFactory, settings: dict[str, Any]
) -> None:
    client = client_with(**settings, log_folder=str(tmp_path_factory.mktemp("log")))
    answer = client.post("/v1/feedback", content=b" " * MIB, headers={"content-type": "application/json"})
    if settings:
        assert_problem(answer, 413, "request-too-large")
    else:
        assert_problem(answer, 404, "no-prediction-log")


def test_only_photos_may_be_as_large_as_a_request_may_be(client_with: MakeClient) -> None:
    client = client_with(max_request_bytes=100_000)
    photo = encoded(RED) + bytes(90_000)
    assert send(client, ("a.jpg", photo)).status_code == 200
    assert_problem(send(client, ("a.jpg", photo + bytes(20_000))), 413, "request-too-large")
    refused = client.post("/v2/models/tiny/infer", content=b" " * 100_001)
    assert (refused.status_code, refused.json().keys()) == (413, {"error"}), "in the form of that protocol"


def test_what_is_refused_is_counted(with_new_routes: MakeClient) -> None:
    client = with_new_routes()
    client.post("/new", content=b" " * (SMALL + 1))
    metrics = read_metrics(client)
    assert value(metrics, "animals_rejected_total", reason="request-too-large") == 1
    assert value(metrics, "animals_http_requests_total", route="/new", method="POST", status="413") == 1


def test_all_routes_share_the_memory_and_give_it_back(with_new_routes: MakeClient) -> None:
    memory = BodyMemory(SMALL)
    client = with_new_routes(memory)
    assert client.post("/new", content=b" " * SMALL).status_code == 200
    assert memory.held == 0
    assert memory.claim(SMALL - 1)
    assert_problem(client.post("/foreign/", content=b" " * 2), 503, "busy")
    memory.release(SMALL - 1)
    assert client.post("/foreign/", content=b" " * 2).status_code == 200
    assert memory.held == 0


def test_processes_share_memory_without_waiting_for_each_other() -> None:
    places = [0, 0]
    one, other = BodyMemory(100, places, 0), BodyMemory(100, places, 1)
    assert one.claim(60)
    assert not other.claim(60)
    assert other.claim(40)
    assert (one.held, places) == (100, [60, 40])
    places[0] = 0  # it died
    assert other.claim(60)


@pytest.mark.parametrize("path", ["/new", "/foreign/", "/v1/predict"])
def test_a_body_is_never_unpacked_whoever_reads_it(with_new_routes: MakeClient, path: str) -> None:
    headers = {"content-encoding": "gzip", "content-type": "image/jpeg"}
    refused = with_new_routes().post(path, content=b"x", headers=headers)
    assert_problem(refused, 415, "encoded-body")


def test_an_answer_that_does_not_come_is_given_up_on_every_route(with_new_routes: MakeClient) -> None:
    client = with_new_routes(request_timeout=0.05)
    assert_problem(client.get("/stuck"), 503, "timed-out")
    assert client.get("/patient").json() == "done", "it has asked for time"


class Exchange:
    """One request without a server: the body comes as the test wants it."""

    def __init__(self, app: FastAPI, path: str, *, arrival: MessageArrival | None = None, **headers: str) -> None:
        self.sent: list[Message] = []
        self._app = app
        self._first = True
        self.scope: Scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()],
            "client": ("10.0.0.1", 1),
            "server": ("test", 80),
            "scheme": "http",
        }
        if arrival is not None:
            self.scope[KEY] = arrival

    async def _receive(self) -> Message:
        if not self._first:
            await asyncio.Event().wait()
        self._first = False
        return {"type": "http.request", "body": b" ", "more_body": True}

    async def _send(self, message: Message) -> None:
        self.sent.append(message)

    async def run(self) -> int:
        async with asyncio.timeout(20):
            await self._app(self.scope, self._receive, self._send)
        return int(self.sent[0]["status"])


@pytest.mark.parametrize("path", ["/new", "/foreign/", "/v1/predict", "/v2/models/tiny/infer"])
def test_a_body_that_does_not_come_is_given_up_on_every_route(with_new_routes: MakeClient, path: str) -> None:
    app = with_new_routes(body_timeout=0.05).app
    exchange = Exchange(app, path, content_length="100", content_type="image/jpeg")  # type: ignore[arg-type]
    assert asyncio.run(exchange.run()) == 408
    assert len(exchange.sent) == 2, "one answer, whatever the route says afterwards"


def test_the_protocol_can_end_a_request(with_new_routes: MakeClient) -> None:
    arrival = MessageArrival()
    app = with_new_routes().app

    async def scenario() -> int:
        exchange = Exchange(app, "/new", arrival=arrival, content_length="100")  # type: ignore[arg-type]
        running = asyncio.create_task(exchange.run())
        while not exchange._first:
            await asyncio.sleep(0)
        arrival.refuse(ProblemError(503, "too many", kind="too-many-clients"))
        status = await running
        assert (b"connection", b"close") in exchange.sent[0]["headers"], "its body is not all there"
        return status

    assert asyncio.run(scenario()) == 503


def test_a_request_that_was_refused_before_it_began_is_answered_so(with_new_routes: MakeClient) -> None:
    arrival = MessageArrival()
    arrival.refuse(ProblemError(400, "no HTTP", kind="not-http"))
    exchange = Exchange(with_new_routes().app, "/new", arrival=arrival, content_length="9")  # type: ignore[arg-type]
    assert asyncio.run(exchange.run()) == 400


def test_a_time_out_of_a_route_is_its_own(classifier: Classifier) -> None:
    app = create_app(classifier)

    @app.get("/late")
    async def late() -> None:
        raise TimeoutError

    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.get("/late").status_code == 500
