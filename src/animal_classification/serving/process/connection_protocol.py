"""What a connection may cost, on top of uvicorn's protocol: heads, bodies, silence, and clients that do not read."""

from __future__ import annotations

import asyncio
import json
import os
import select
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from animal_classification.serving.http.problem_details import ProblemError, problem_body
from animal_classification.serving.middleware.message_arrival import KEY, Arrival
from animal_classification.serving.process.lingering_close import LingeringTransport
from animal_classification.serving.process.waiting_connections import WaitingConnections

if TYPE_CHECKING:
    from collections.abc import Callable

    from uvicorn.config import Config
    from uvicorn.server import ServerState

MAX_HEAD = 64 * 1024
# Bytes of a body that are read before the application has taken the earlier ones. uvicorn's own bound, a quarter of it,
# stops the reading of nearly every photo once or twice, each time with a call of the system and a turn of the loop.
READ_AHEAD = 256 * 1024
# So many bytes of a body are progress. A client that sends one now and then makes none.
PROGRESS = 16 * 1024
# Seconds after a body's time is over in which the application may say so itself.
LAST_WORD = 1.0
TOO_MANY = "too many clients are connected; try again in a moment"


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionBounds:
    """What an operator allows, in seconds and in number."""

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
        refused: Told of the status, the reason in one word and the client where the protocol answers by itself; gives
            the answer's headers.
        waiting: Those on which it is the client's turn.
        leaving: Those that have given way and are about to close.
    """

    bounds: ConnectionBounds = ConnectionBounds()
    refused: Callable[[int, str, str | None], list[tuple[bytes, bytes]]] = lambda *_: []
    waiting: WaitingConnections[GuardedProtocol] = field(default_factory=WaitingConnections)
    leaving: set[GuardedProtocol] = field(default_factory=set)


class GuardedProtocol(HttpToolsProtocol):
    """Bounds heads and bodies in time, connections in number, and the patience with clients that do not read.

    Where an answer is complete and its request is not, the connection ends: the client gets the time to read the
    answer, and what it still sends is dropped.
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
        self._arrival = Arrival()

    @property
    def answering(self) -> bool:
        """A request is on its way, or an answer."""
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
        # uvicorn writes to it, and closes it when it is done.
        lingering = LingeringTransport(transport, self.loop, self._may_still_send)
        super().connection_made(cast("asyncio.Transport", lingering))
        self.shared.waiting.add(self, idle=False)
        self._wait(self.bounds.head_timeout, self._head_is_late)
        while len(self.connections) - len(self.shared.leaving) > self.bounds.max_connections:
            other = self.shared.waiting.pop(GuardedProtocol.has_news)
            if other is None:  # all others are being answered
                break
            other.give_way()

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
        self._watch()

    def _watch(self) -> None:
        """Whose turn is it, and for how long?"""
        if self._in_message:
            if self._timer is None:
                self._wait(self.bounds.body_timeout + LAST_WORD, self._body_is_late)
                self.shared.waiting.add(self, idle=False)
            elif self._body_bytes >= PROGRESS:
                self._body_bytes = 0
                self.shared.waiting.add(self, idle=False)
        elif self._head_bytes and not self._unanswered:
            if self._timer is None:
                self._wait(self.bounds.head_timeout, self._head_is_late)
                self.shared.waiting.add(self, idle=False)
        elif self._unanswered:
            self.shared.waiting.discard(self)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = max(1, self._head_bytes)  # it may have come with the end of another message
        self._arrival = cast("dict[str, Any]", self.scope)[KEY] = Arrival()

    def on_headers_complete(self) -> None:
        self._in_message = True
        self._head_bytes = 0
        self._body_bytes = 0
        self._stop_waiting()
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
        self._stop_waiting()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if self._may_still_send() and not self.transport.is_closing():
            self.transport.close()
        super().on_response_complete()
        if self not in self.connections:  # it was lost while an answer waited to be sent
            return
        if self.transport.is_closing():
            self._stop_waiting()
            self.shared.waiting.add(self, idle=False)
        elif not self._unanswered and not self._in_message:
            self.shared.waiting.add(self, idle=not self._head_bytes)
            if self._head_bytes and self._timer is None:  # a piece of the next one came with the last one
                self._wait(self.bounds.head_timeout, self._head_is_late)

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "not-http", "this is not a request of HTTP/1.1")

    def pause_writing(self) -> None:
        super().pause_writing()
        # Closing would wait for the client to read what is written already.
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
        self._stop_waiting()
        if self._write_timer is not None:
            self._write_timer.cancel()
        self.shared.waiting.discard(self)
        self.shared.leaving.discard(self)
        super().connection_lost(exc)

    def has_news(self) -> bool:
        """Something has come that was not read yet."""
        ours = self.transport.get_extra_info("socket")
        try:
            return bool(select.select([ours], [], [], 0)[0]) if os.name == "nt" else _readable(ours.fileno())
        except (OSError, ValueError):  # it is closed
            return False

    def give_way(self) -> None:
        """Close, to make room for another; what has begun is told so."""
        self.shared.leaving.add(self)
        transport = cast("LingeringTransport", self.transport)
        if transport.lingering or transport.get_write_buffer_size():
            transport.abort()
        elif self._unanswered or self._head_bytes or self.cycle is None:
            self._refuse(503, "too-many-clients", TOO_MANY, linger=False)
        else:
            self.transport.close()

    def _may_still_send(self) -> bool:
        # Where others wait behind it in the pipeline, the request that was answered has come as a whole.
        return (self._in_message or self._broken) and not self.pipeline and self not in self.shared.leaving

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self._timer = self.loop.call_later(seconds, then)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _head_is_late(self) -> None:
        self._timer = None
        if self._head_bytes:
            self._refuse(408, "slow-head", f"a request's head must arrive within {self.bounds.head_timeout:g} seconds")
        else:
            self.transport.close()

    def _body_is_late(self) -> None:
        self._timer = None
        if self.pipeline:  # nobody reads it yet
            self._wait(self.bounds.body_timeout + LAST_WORD, self._body_is_late)
        else:  # an answer has begun, or the application has not said a word
            self.transport.abort()

    def _refuse(self, status: int, kind: str, detail: str, *, linger: bool = True) -> None:
        """Answer with a problem and close: by way of the application where a request of its waits, else from here."""
        self._broken = linger
        self._stop_waiting()
        headers = {"Connection": "close"} | ({"Retry-After": "1"} if status == 503 else {})
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete:
            self._write(status, kind, detail, headers)
            self.transport.close()
        elif not self._in_message:  # what is wrong stands behind a request that is being answered
            cycle.keep_alive = False
        elif cycle.response_started:
            self.transport.close()
        else:
            self._arrival.refuse(ProblemError(status, detail, kind=kind, headers=headers))

    def _write(self, status: int, kind: str, detail: str, headers: dict[str, str]) -> None:
        body = json.dumps(problem_body(status, detail, kind=kind)).encode("ascii")
        client = self.client[0] if self.client else None
        lines = [
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
            "content-type: application/problem+json",
            f"content-length: {len(body)}",
            *(f"{name.lower()}: {value}" for name, value in headers.items()),
            *(f"{name.decode()}: {value.decode()}" for name, value in self.shared.refused(status, kind, client)),
        ]
        self.transport.write("\r\n".join([*lines, "", ""]).encode("ascii") + body)


def _readable(descriptor: int) -> bool:
    poll = select.poll()  # select() takes no descriptor above 1,023
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def guarded(
    bounds: ConnectionBounds, refused: Callable[[int, str, str | None], list[tuple[bytes, bytes]]]
) -> type[GuardedProtocol]:
    """The protocol for one server, with an operator's bounds."""
    return type("GuardedProtocol", (GuardedProtocol,), {"shared": Connections(bounds=bounds, refused=refused)})
