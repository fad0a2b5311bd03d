"""uvicorn's server with a shutdown that loses no request."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from types import FrameType

# Seconds for which all connections must be silent before they are closed: a client may be sending its next request.
QUIET = 0.25
POLL = 0.02
# Connections accepted in one turn of the event loop: few, so that a crowd of new ones holds up the others for some
# milliseconds only; for a moment there may be so many beyond the bound. The kernel queues many more, because a client
# that finds its queue full waits a second before it tries again.
ACCEPTED_AT_ONCE = 8
QUEUED_IN_KERNEL = 2048


class GracefulServer(uvicorn.Server):
    """Stops in four steps.

    1. It reports that it is not ready, and ends each connection with its next answer; for ``drain`` seconds it still
       accepts new ones.
    2. It accepts the connections that the kernel has queued, and then no more.
    3. For up to ``grace`` seconds it answers the requests in progress.
    4. It closes.

    A second Ctrl-C stops it at once.

    Args:
        config: uvicorn's.
        listener: The socket on which it listens.
        on_stop: Called at the beginning of step 1.
        drain: Seconds.
        grace: Seconds.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        listener: socket.socket,
        *,
        on_stop: Callable[[], None],
        drain: float,
        grace: float,
    ) -> None:
        super().__init__(config)
        self._listener = listener
        self._on_stop = on_stop
        self._drain = drain
        self._grace = grace
        self._loop = asyncio.get_running_loop()
        self._stopping: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        self._listener.listen(QUEUED_IN_KERNEL)  # asyncio has set it to the number that it accepts at once

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the shutdown; uvicorn installs this for SIGINT and SIGTERM."""
        if self._stopping is not None and sig == signal.SIGINT:
            self.should_exit = self.force_exit = True
        else:
            self._loop.call_soon_threadsafe(self.begin_shutdown)

    def begin_shutdown(self) -> None:
        """Begin the shutdown, unless it has begun already."""
        if self._stopping is None:
            self._stopping = self._loop.create_task(self._stop())

    async def _stop(self) -> None:
        self._on_stop()
        await asyncio.sleep(self._drain)
        self._accept_queued()
        until = self._loop.time() + self._grace
        quiet_since = self._loop.time()
        while self.server_state.connections and self._loop.time() < until:
            if any(getattr(connection, "answering", True) for connection in self.server_state.connections):
                quiet_since = self._loop.time()
            if self._loop.time() - quiet_since > QUIET:
                break
            await asyncio.sleep(POLL)
        self.should_exit = True

    def _accept_queued(self) -> None:
        if not self.started:
            return
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # none is queued, or the socket is closed already
                break
            connection.setblocking(False)
            self._loop.create_task(self._loop.connect_accepted_socket(self._protocol, connection))
        for server in self.servers:
            server.close()

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
