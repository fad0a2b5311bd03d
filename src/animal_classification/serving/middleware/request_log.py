"""Around every request: an id, a line in the access log, the metrics, and headers that every answer has."""

from __future__ import annotations

import re
import time
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from animal_classification.serving.middleware.message_arrival import arrival_of
from animal_classification.serving.models.model_metrics import OTHER
from animal_classification.serving.observability import tracing

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from animal_classification.serving.observability.metrics import ServerMetrics
    from animal_classification.serving.service import ModelService

SANE_ID = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:@/+=-]{0,127}")
REQUEST_ID: ContextVar[str | None] = ContextVar("animals_request_id", default=None)
NOTES = "animals"
# For answers that say nothing of their own on the matter.
SECURITY_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"SAMEORIGIN",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(self), microphone=(), geolocation=()",
}


@dataclass(slots=True)
class Notes:
    """What is known of a request; those who handle it add to it.

    Attributes:
        request_id: From the client where it is sane, else made here.
        route: Which route answers, from a list that the server knows.
        key: Name of the API key.
        status: Of the answer; 499 if the client went away before.
        received: Bytes of the body.
        sent: Bytes of the answer.
        trace: Where there are traces.
    """

    request_id: str
    route: str = OTHER
    key: str | None = None
    status: int = 499
    received: int = 0
    sent: int = 0
    trace: tracing.RequestTrace | None = None


def notes_of(scope: Scope) -> Notes:
    """The notes on the request of ``scope``."""
    notes: Notes = scope[NOTES]
    return notes


class Observed:
    """An ASGI application around another.

    Args:
        app: The other; what it raises passes through.
        service: Whose metrics count, and who knows whether the server is about to stop.
        log: Gets the facts of each request when it is answered.
        traces: Makes traces, if anything does.
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
        notes = scope[NOTES] = Notes(_request_id(scope))
        token = REQUEST_ID.set(notes.request_id)
        if self._traces is not None:
            notes.trace = self._traces.begin(scope)
            tracing.CURRENT.set(notes.trace)  # of this task, which answers nothing else before it is set again
        self._service.metrics.began()

        async def counted_receive() -> Message:
            message = await receive()
            notes.received += len(message.get("body", b""))
            return message

        async def completed_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                notes.status = message["status"]
                message["headers"] = self._completed(list(message.get("headers", ())), notes, scope)
            else:
                notes.sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, counted_receive, completed_send)
        finally:
            REQUEST_ID.reset(token)
            self._finished(scope, notes, time.perf_counter() - started)

    def _completed(self, headers: list[tuple[bytes, bytes]], notes: Notes, scope: Scope) -> list[tuple[bytes, bytes]]:
        present = {name.lower() for name, _ in headers}
        headers += [item for item in SECURITY_HEADERS.items() if item[0] not in present]
        headers.append((b"x-request-id", notes.request_id.encode("ascii")))
        if notes.trace is not None:
            headers.append((b"traceresponse", notes.trace.header.encode("ascii")))
        if scope["scheme"] == "https":
            headers.append((b"strict-transport-security", b"max-age=31536000"))
        if b"connection" not in present and (self._service.draining or not _is_there(scope)):
            headers.append((b"connection", b"close"))
        return headers

    def _finished(self, scope: Scope, notes: Notes, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", None) or notes.route
        self._service.metrics.answered(route, scope["method"], notes.status, seconds)
        if notes.trace is not None:
            notes.trace.end(scope["method"], route, notes.status)
        if self._log is not None:
            client = scope.get("client")
            trace = {} if notes.trace is None else {"trace_id": notes.trace.trace_id}
            self._log(
                {
                    "request_id": notes.request_id,
                    **trace,
                    "client": client[0] if client else None,
                    "key": notes.key,
                    "method": scope["method"],
                    "path": scope["path"],
                    "route": route,
                    "status": notes.status,
                    "seconds": round(seconds, 6),
                    "received": notes.received,
                    "sent": notes.sent,
                }
            )


class RefusalsObserved:
    """Does the same for what the protocol answers by itself, before there is a request for :class:`Observed`.

    Args:
        metrics: Where it is counted.
        log: Gets the facts of each.
    """

    def __init__(self, metrics: ServerMetrics, log: Callable[[dict[str, Any]], None] | None = None) -> None:
        self._metrics = metrics
        self._log = log

    def __call__(self, status: int, kind: str, client: str | None) -> list[tuple[bytes, bytes]]:
        """Note that a connection was answered with a status, for a reason in one word; the answer's headers."""
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


def _is_there(scope: Scope) -> bool:
    """The whole request has come; where it has not, its connection ends with the answer."""
    arrival = arrival_of(scope)
    return arrival is None or arrival.complete


def _request_id(scope: Scope) -> str:
    given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    return given.decode("ascii") if SANE_ID.fullmatch(given) else uuid4().hex
