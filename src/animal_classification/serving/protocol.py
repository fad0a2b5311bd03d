"""What a connection may cost before a request has even arrived, on top of uvicorn's protocol."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

MAX_HEAD = 64 * 1024
# Bytes of a body that are read before the application has taken the earlier ones. uvicorn's own bound, a quarter of it,
# stops the reading of nearly every photo once or twice, each time with a call of the system and a turn of the loop.
READ_AHEAD = 256 * 1024
_PHRASES = {
    400: "Bad Request",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


class GuardedProtocol(HttpToolsProtocol):
    """Bounds heads in bytes and in time, connections in number, and the patience with clients that do not read."""

    head_timeout = 15.0
    write_timeout = 30.0
    max_connections = 800

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._in_message = False

    @property
    def answering(self) -> bool:
        """A request is on its way, or an answer."""
        cycle: RequestResponseCycle | None = self.cycle
        return self._in_message or self._head_bytes > 0 or (cycle is not None and not cycle.response_complete)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            self._refuse(503, "too many clients are connected; try again in a moment")
            return
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if not self._in_message:
            self._head_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_message or not self._head_bytes:
            return
        if self._head_bytes > MAX_HEAD:
            self._refuse(431, f"a request's head may have {MAX_HEAD} bytes")
        elif self._head_timer is None:
            self._wait_for_head()

    def on_headers_complete(self) -> None:
        self._in_message = True
        self._head_bytes = 0
        self._stop_waiting()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        cycle: RequestResponseCycle | None = self.cycle
        ahead = 0 if cycle is None else len(cycle.body) + len(body)
        if cycle is None or cycle.response_complete or ahead > READ_AHEAD or self.parser.should_upgrade():
            super().on_body(body)
            return
        cycle.body += body
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        self._in_message = False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "this is not a request of HTTP/1.1")

    def pause_writing(self) -> None:
        super().pause_writing()
        # Closing would wait for the client to read what is written already.
        self._write_timer = self.loop.call_later(self.write_timeout, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        if self._write_timer is not None:
            self._write_timer.cancel()
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        self._head_timer = self.loop.call_later(self.head_timeout, self._head_is_late)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._head_bytes:
            self._refuse(408, f"a request's head must arrive within {self.head_timeout:g} seconds")
        else:
            self.transport.close()

    def _refuse(self, status: int, detail: str) -> None:
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete or not cycle.response_started:
            phrase = HTTPStatus(status).phrase
            body = json.dumps({"type": "about:blank", "title": phrase, "status": status, "detail": detail})
            lines = [
                f"HTTP/1.1 {status} {phrase}",
                "content-type: application/problem+json",
                f"content-length: {len(body)}",
                "connection: close",
                *(["retry-after: 1"] if status == 503 else []),
            ]
            self.transport.write("\r\n".join([*lines, "", body]).encode("ascii"))
        self.transport.close()


def guarded(*, head_timeout: float, max_connections: int) -> type[GuardedProtocol]:
    """The protocol with an operator's bounds."""
    bounds = {"head_timeout": head_timeout, "max_connections": max_connections}
    return type("GuardedProtocol", (GuardedProtocol,), bounds)
