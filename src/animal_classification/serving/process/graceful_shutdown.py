"""uvicorn's server, stopping so that no request is lost."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from types import FrameType

# So long a connection that is kept alive may be silent before it is closed, when the server stops: its client may just
# be sending the next request.
LINGER = 0.25
TICK = 0.02
# Connections that are taken from the kernel in one turn of the event loop, so that a crowd that comes at once holds up
# the others for some milliseconds; so many may be there beyond the bound for a moment. The kernel may hold many more:
# beyond what it holds, a client waits a second before it tries again.
ACCEPTED_AT_ONCE = 8
WAITING_IN_KERNEL = 2048


class GracefulServer(uvicorn.Server):
    """Stops in four steps.

    1. It says that it is not ready, and ends each connection with its next answer; for ``drain`` seconds it goes on
       taking new ones.
    2. It accepts what the kernel has accepted already, and then nobody more.
    3. For up to ``grace`` seconds it answers what is on its way.
    4. It closes.

    A second Ctrl-C stops it at once.

    Args:
        config: uvicorn's.
        listener: The socket on which it listens.
        on_stop: Called at the beginning of the first step.
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
        self._listener.listen(WAITING_IN_KERNEL)  # asyncio has made it as many as it takes at once

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; what uvicorn installs for SIGINT and SIGTERM."""
        self._captured_signals.append(sig)
        if self._stopping is not None and sig == signal.SIGINT:
            self.should_exit = self.force_exit = True
        else:
            self._loop.call_soon_threadsafe(self.begin_to_stop)

    def begin_to_stop(self) -> None:
        """Begin to stop, if it has not begun yet."""
        if self._stopping is None:
            self._stopping = self._loop.create_task(self._stop())

    async def _stop(self) -> None:
        self._on_stop()
        await asyncio.sleep(self._drain)
        self._accept_the_last()
        until = self._loop.time() + self._grace
        quiet_since = self._loop.time()
        while self.server_state.connections and self._loop.time() < until:
            if any(getattr(connection, "answering", True) for connection in self.server_state.connections):
                quiet_since = self._loop.time()
            if self._loop.time() - quiet_since > LINGER:
                break
            await asyncio.sleep(TICK)
        self.should_exit = True

    def _accept_the_last(self) -> None:
        if not self.started:
            return
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # there is none, or the socket is closed already
                break
            connection.setblocking(False)
            self._loop.create_task(self._loop.connect_accepted_socket(self._protocol, connection))
        for server in self.servers:
            server.close()

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
