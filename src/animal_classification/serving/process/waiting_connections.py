"""The connections that wait for their clients, and which of them is closed when there are too many."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Connection = TypeVar("Connection")
# An idle connection that has been silent for so many seconds can be closed at no loss.
IDLE_SECONDS = 2.0
TRIES = 16


class WaitingConnections(Generic[Connection]):
    """Connections that wait for their client.

    They are *idle*, kept alive after an answer, or *unfinished*: no request or only a part of one has come, or the
    client does not read. Those that are being answered are not here, and are never closed to make room.

    A new connection is let in when there is no room, and another one is closed:

    1. the one that has been idle longest, if that is ``IDLE_SECONDS`` or more;
    2. otherwise, of the larger group, the one whose client did something longest ago.

    A connection with unread data is passed over. So a crowd of connections that only wait pushes out its own members: a
    client that sends its request at once is younger than all of them, and is answered before its turn comes.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._idle: OrderedDict[Connection, float] = OrderedDict()
        self._unfinished: OrderedDict[Connection, float] = OrderedDict()

    def add(self, connection: Connection, *, idle: bool) -> None:
        """A connection waits from now on."""
        self.discard(connection)
        (self._idle if idle else self._unfinished)[connection] = self._clock()

    def discard(self, connection: Connection) -> None:
        """A connection waits no more, or is gone."""
        self._idle.pop(connection, None)
        self._unfinished.pop(connection, None)

    def pop(self, has_unread_data: Callable[[Connection], bool] = lambda _: False) -> Connection | None:
        """Remove and return the connection to close; ``None`` where none waits.

        Connections for which ``has_unread_data`` is true are passed over, for ``TRIES`` times.
        """
        for _ in range(TRIES):
            waiting = self._next_group()
            if not waiting:
                return None
            connection = next(iter(waiting))
            if not has_unread_data(connection):
                break
            waiting.move_to_end(connection)
            waiting[connection] = self._clock()
        return self._next_group().popitem(last=False)[0]

    def _next_group(self) -> OrderedDict[Connection, float]:
        long_idle = bool(self._idle) and self._clock() - next(iter(self._idle.values())) >= IDLE_SECONDS
        return self._idle if long_idle or len(self._idle) > len(self._unfinished) else self._unfinished
