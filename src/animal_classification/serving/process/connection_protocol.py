"""Bounds on connections, on top of uvicorn's protocol: slow heads and bodies, clients that do not read, and crowds."""

from __future__ import annotations

import asyncio
import json
import os
import select
from dataclasses import dataclass, field
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from animal_classification.serving.http.problem_details import ProblemError, problem_body
from animal_classification.serving.middleware.client_connection import KEY, MessageArrival
from animal_classification.serving.process.lingering_close import LingeringTransport
from animal_classification.serving.process.waiting_connections import WaitingConnections

if TYPE_CHECKING:
    from collections.abc import Callable

    from uvicorn.config import Config
    from uvicorn.server import ServerState

    OnRefusal = Callable[[int, str, str | None], list[tuple[bytes, bytes]]]

MAX_HEAD = 64 * 1024
# Bytes of a body that are buffered for the application. uvicorn's own bound, a quarter of it, pauses the reading of
# nearly every photo once or twice, each time with a system call and a turn of the event loop.
READ_AHEAD = 256 * 1024
# Bytes of a body that count as progress. A client that sends a byte now and then makes none.
PROGRESS = 16 * 1024
# Seconds after a body's time is over in which the application may answer by itself.
APPLICATION_GRACE = 1.0
TOO_MANY = "too many clients are connected; try again in a moment"


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionBounds:
    """The operator's bounds: seconds, and the number of connections."""

    head_timeout: float = 15.0
    body_timeout: float = 60.0
    write_timeout: float = 30.0
    keep_alive: float = 75.0
    max_connections: int = 800


@dataclass(kw_only=True, slots=True)
class Connections:
    """What all connections of a server share.

    Attributes:
        bounds: On each.
        on_refusal: Called with the status, the reason in one word and the client when the protocol answers by itself;
            returns headers for the answer.
        waiting: Those that wait for their client.
        evicted: Those that are closing to make room for others.
    """

    bounds: ConnectionBounds = ConnectionBounds()
    on_refusal: OnRefusal = lambda *_: []
    waiting: WaitingConnections[BoundedHttpProtocol] = field(default_factory=WaitingConnections)
    evicted: set[BoundedHttpProtocol] = field(default_factory=set)


class BoundedHttpProtocol(HttpToolsProtocol):
    """Bounds the time of heads, bodies and unread answers, and the number of connections.

    Where an answer is complete before its request, the connection ends: the client gets time to read the answer, and
    what it still sends is dropped.
    """

    shared = Connections()

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.bounds = self.shared.bounds
        self.timeout_keep_alive = self.bounds.keep_alive  # type: ignore[assignment]  # uvicorn hands it to call_later
        self._timer: asyncio.TimerHandle | None = None  # of the head, or of the body
        self._write_timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._body_bytes = 0  # since there was progress last
        self._in_message = False
        self._broken = False
        self._arrival = MessageArrival()

    @property
    def answering(self) -> bool:
        """A request is arriving, or an answer is being made or sent."""
        if self._lingering:
            return False
        return self._in_message or self._head_bytes > 0 or self._unanswered

    @property
    def _unanswered(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    @property
    def _lingering(self) -> bool:
        return cast("LingeringTransport", self.transport).lingering

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        # uvicorn writes to this one, and closes it when it is done.
        lingering = LingeringTransport(transport, self.loop, self._may_still_send)
        super().connection_made(cast("asyncio.Transport", lingering))
        self.shared.waiting.add(self, idle=False)
        self._start_timer(self.bounds.head_timeout, self._on_head_timeout)
        while len(self.connections) - len(self.shared.evicted) > self.bounds.max_connections:
            other = self.shared.waiting.pop(BoundedHttpProtocol.has_unread_data)
            if other is None:  # all others are being answered
                break
            other.evict()

    def data_received(self, data: bytes) -> None:
        if self._lingering or self._broken:
            cast("LingeringTransport", self.transport).drop(len(data))
            return
        if self.transport.is_closing():
            return
        if not self._in_message:
            self._head_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing() or self._broken:
            return
        if self._head_bytes > MAX_HEAD:
            self._refuse(431, "head-too-large", f"a request's head may have {MAX_HEAD} bytes")
            return
        self._set_timers()

    def _set_timers(self) -> None:
        """Start or stop waiting for the client, by what has arrived."""
        if self._in_message:
            if self._timer is None:
                self._start_timer(self.bounds.body_timeout + APPLICATION_GRACE, self._on_body_timeout)
                self.shared.waiting.add(self, idle=False)
            elif self._body_bytes >= PROGRESS:
                self._body_bytes = 0
                self.shared.waiting.add(self, idle=False)
        elif self._head_bytes and not self._unanswered:
            if self._timer is None:
                self._start_timer(self.bounds.head_timeout, self._on_head_timeout)
                self.shared.waiting.add(self, idle=False)
        elif self._unanswered:
            self.shared.waiting.discard(self)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = max(1, self._head_bytes)  # the head may have come with the end of another message
        self._arrival = cast("dict[str, Any]", self.scope)[KEY] = MessageArrival()

    def on_headers_complete(self) -> None:
        self._in_message = True
        self._head_bytes = 0
        self._body_bytes = 0
        self._stop_timer()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        cycle: RequestResponseCycle | None = self.cycle
        ahead = 0 if cycle is None else len(cycle.body) + len(body)
        if cycle is None or cycle.response_complete or ahead > READ_AHEAD or self.parser.should_upgrade():
            super().on_body(body)
            return
        cycle.body += body
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        self._in_message = False
        self._arrival.complete = True
        self._stop_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if self._may_still_send() and not self.transport.is_closing():
            self.transport.close()
        super().on_response_complete()
        if self not in self.connections:  # the connection was lost while its answer waited to be sent
            return
        if self.transport.is_closing():
            self._stop_timer()
            self.shared.waiting.add(self, idle=False)
        elif not self._unanswered and not self._in_message:
            self.shared.waiting.add(self, idle=not self._head_bytes)
            if self._head_bytes and self._timer is None:  # a piece of the next head came with the last message
                self._start_timer(self.bounds.head_timeout, self._on_head_timeout)

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "not-http", "this is not a request of HTTP/1.1")

    def pause_writing(self) -> None:
        super().pause_writing()
        # Closing would wait until the client has read what is written already.
        self._write_timer = self.loop.call_later(self.bounds.write_timeout, self.transport.abort)
        self.shared.waiting.add(self, idle=False)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        if self._unanswered and not self._in_message:
            self.shared.waiting.discard(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        if self._write_timer is not None:
            self._write_timer.cancel()
        self.shared.waiting.discard(self)
        self.shared.evicted.discard(self)
        super().connection_lost(exc)
        cast("LingeringTransport", self.transport).release()
        if self.timeout_keep_alive_task is not None:  # uvicorn lets it run where the client has reset the connection
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None

    def has_unread_data(self) -> bool:
        """Whether the client has sent something that was not read yet."""
        ours = self.transport.get_extra_info("socket")
        try:
            return bool(select.select([ours], [], [], 0)[0]) if os.name == "nt" else _readable(ours.fileno())
        except (OSError, ValueError):  # the socket is closed
            return False

    def evict(self) -> None:
        """Close, to make room for another connection; a request that has begun is answered with 503."""
        self.shared.evicted.add(self)
        transport = cast("LingeringTransport", self.transport)
        if transport.lingering or transport.get_write_buffer_size():
            transport.abort()
        elif self._unanswered or self._head_bytes or self.cycle is None:
            self._refuse(503, "too-many-clients", TOO_MANY, linger=False)
        else:
            self.transport.close()

    def _may_still_send(self) -> bool:
        # Where other requests wait in the pipeline, the one that was answered has arrived whole.
        return (self._in_message or self._broken) and not self.pipeline and self not in self.shared.evicted

    def _start_timer(self, seconds: float, then: Callable[[], None]) -> None:
        self._timer = self.loop.call_later(seconds, then)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_head_timeout(self) -> None:
        self._timer = None
        if self._head_bytes:
            self._refuse(408, "slow-head", f"a request's head must arrive within {self.bounds.head_timeout:g} seconds")
        else:
            self.transport.close()

    def _on_body_timeout(self) -> None:
        self._timer = None
        if self.pipeline:  # the application has not begun to read it
            self._start_timer(self.bounds.body_timeout + APPLICATION_GRACE, self._on_body_timeout)
        else:  # an answer has begun, or the application has not answered in time
            self.transport.abort()

    def _refuse(self, status: int, kind: str, detail: str, *, linger: bool = True) -> None:
        """Answer with a problem and close: through the application if it has the request, otherwise from here."""
        self._broken = linger
        self._stop_timer()
        headers = {"Connection": "close"} | ({"Retry-After": "1"} if status == 503 else {})
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete:
            self._write(status, kind, detail, headers)
            self.transport.close()
        elif not self._in_message:  # the fault stands behind a request that is being answered
            cycle.keep_alive = False
        elif cycle.response_started:
            self.transport.close()
        else:
            self._arrival.refuse(ProblemError(status, detail, kind=kind, headers=headers))

    def _write(self, status: int, kind: str, detail: str, headers: dict[str, str]) -> None:
        body = _problem(status, kind, detail)
        client = self.client[0] if self.client else None
        lines = [
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
            "content-type: application/problem+json",
            f"content-length: {len(body)}",
            *(f"{name.lower()}: {value}" for name, value in headers.items()),
            *(f"{name.decode()}: {value.decode()}" for name, value in self.shared.on_refusal(status, kind, client)),
        ]
        self.transport.write("\r\n".join([*lines, "", ""]).encode("ascii") + body)


@lru_cache(maxsize=16)
def _problem(status: int, kind: str, detail: str) -> bytes:
    return json.dumps(problem_body(status, detail, kind=kind)).encode("ascii")


def _readable(descriptor: int) -> bool:
    poll = select.poll()  # select() takes no descriptor above 1,023
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def protocol_with(bounds: ConnectionBounds, on_refusal: OnRefusal) -> type[BoundedHttpProtocol]:
    """The protocol class for one server."""
    return type(
        "BoundedHttpProtocol", (BoundedHttpProtocol,), {"shared": Connections(bounds=bounds, on_refusal=on_refusal)}
    )
