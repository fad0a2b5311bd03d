"""What every request gets: an id, a line in the access log, metrics, a trace, and the headers that all answers have."""

from __future__ import annotations

import re
import time
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from animal_classification.serving.middleware.client_connection import arrival_of
from animal_classification.serving.observability import tracing
from animal_classification.serving.observability.metrics import OTHER

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from animal_classification.serving.observability.metrics import ServerMetrics
    from animal_classification.serving.service import ModelService

VALID_ID = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:@/+=-]{0,127}")
REQUEST_ID: ContextVar[str | None] = ContextVar("animals_request_id", default=None)
RECORD = "animals.request"
# For answers that do not set these headers themselves.
SECURITY_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"SAMEORIGIN",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(self), microphone=(), geolocation=()",
}


@dataclass(slots=True)
class RequestRecord:
    """What the log says of a request; the layers that handle it fill it in.

    Attributes:
        request_id: The client's own where it is valid, otherwise a new one.
        route: Template of the route that answers.
        key: Name of the API key.
        status: Of the answer; 499 if the client went away before it.
        received: Bytes of the body.
        sent: Bytes of the answer.
        trace: Where traces are on.
    """

    request_id: str
    route: str = OTHER
    key: str | None = None
    status: int = 499
    received: int = 0
    sent: int = 0
    trace: tracing.RequestTrace | None = None


def record_of(scope: Scope) -> RequestRecord:
    """The record of the request of ``scope``."""
    record: RequestRecord = scope[RECORD]
    return record


class RequestLogMiddleware:
    """An ASGI application around another.

    Args:
        app: The application inside; what it raises passes through.
        service: Has the metrics, and knows whether the server is about to stop.
        log: Gets the record of each request when it is answered.
        traces: Where traces are on.
    """

    def __init__(
        self,
        app: ASGIApp,
        service: ModelService,
        log: Callable[[dict[str, Any]], None] | None = None,
        traces: tracing.Tracing | None = None,
    ) -> None:
        self._app = app
        self._service = service
        self._log = log
        self._traces = traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        record = scope[RECORD] = RequestRecord(_request_id(scope))
        token = REQUEST_ID.set(record.request_id)
        if self._traces is not None:
            record.trace = self._traces.begin(scope)
            tracing.CURRENT.set(record.trace)  # of this task, which answers nothing else before it is set again
        self._service.metrics.began()

        async def counted_receive() -> Message:
            message = await receive()
            record.received += len(message.get("body", b""))
            return message

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                message["headers"] = self._with_common_headers(list(message.get("headers", ())), record, scope)
            else:
                record.sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, counted_receive, send_with_headers)
        finally:
            REQUEST_ID.reset(token)
            self._report(scope, record, time.perf_counter() - started)

    def _with_common_headers(
        self, headers: list[tuple[bytes, bytes]], record: RequestRecord, scope: Scope
    ) -> list[tuple[bytes, bytes]]:
        present = {name.lower() for name, _ in headers}
        headers += [item for item in SECURITY_HEADERS.items() if item[0] not in present]
        headers.append((b"x-request-id", record.request_id.encode("ascii")))
        if record.trace is not None:
            headers.append((b"traceresponse", record.trace.header.encode("ascii")))
        if scope["scheme"] == "https":
            headers.append((b"strict-transport-security", b"max-age=31536000"))
        if b"connection" not in present and (self._service.draining or not _has_arrived(scope)):
            headers.append((b"connection", b"close"))
        return headers

    def _report(self, scope: Scope, record: RequestRecord, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", None) or record.route
        self._service.metrics.answered(route, scope["method"], record.status, seconds)
        if record.trace is not None:
            record.trace.end(scope["method"], route, record.status)
        if self._log is not None:
            client = scope.get("client")
            trace = {} if record.trace is None else {"trace_id": record.trace.trace_id}
            self._log(
                {
                    "request_id": record.request_id,
                    **trace,
                    "client": client[0] if client else None,
                    "key": record.key,
                    "method": scope["method"],
                    "path": scope["path"],
                    "route": route,
                    "status": record.status,
                    "seconds": round(seconds, 6),
                    "received": record.received,
                    "sent": record.sent,
                }
            )


class RefusalLog:
    """Does the same for refusals by the protocol, which :class:`RequestLogMiddleware` never sees.

    Args:
        metrics: Where they are counted.
        log: Gets the record of each.
    """

    def __init__(self, metrics: ServerMetrics, log: Callable[[dict[str, Any]], None] | None = None) -> None:
        self._metrics = metrics
        self._log = log

    def __call__(self, status: int, kind: str, client: str | None) -> list[tuple[bytes, bytes]]:
        """Log and count the refusal of a connection; returns headers for its answer."""
        request_id = uuid4().hex
        self._metrics.refused(status, kind)
        if self._log is not None:
            facts: dict[str, Any] = {
                "request_id": request_id,
                "client": client,
                "key": None,
                "method": None,
                "path": None,
            }
            facts |= {"route": OTHER, "status": status, "seconds": 0.0, "received": 0, "sent": 0, "reason": kind}
            self._log(facts)
        return [*SECURITY_HEADERS.items(), (b"x-request-id", request_id.encode("ascii"))]


def _has_arrived(scope: Scope) -> bool:
    """Whether the whole request has come; if not, its connection ends with the answer."""
    arrival = arrival_of(scope)
    return arrival is None or arrival.complete


def _request_id(scope: Scope) -> str:
    given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    return given.decode("ascii") if VALID_ID.fullmatch(given) else uuid4().hex
