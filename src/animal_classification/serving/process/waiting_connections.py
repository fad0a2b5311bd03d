"""The connections that wait for their clients, and which of them gives way when there are too many."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Connection = TypeVar("Connection")
# A connection that has been kept alive for so many seconds without a word can be closed at no loss.
REST = 2.0
TRIES = 16


class WaitingConnections(Generic[Connection]):
    """Connections on which it is the client's turn.

    They are *idle*, kept alive after an answer, or *unfinished*: nothing, or a part of a request, has come, or the
    client does not read. Those that are being answered are not here, and never give way.

    Who comes when there is no room is let in, and another one gives way:

    1. the one that has been idle longest, if that is ``REST`` seconds or more;
    2. else, of the kind of which there are more, the one that has waited longest since its client did something.

    One from which something has come that was not read yet is passed over. A crowd of connections that only wait thus
    pushes out its own; a client that does what it came for is younger than all of them, and is through before its turn
    comes.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._idle: OrderedDict[Connection, float] = OrderedDict()
        self._unfinished: OrderedDict[Connection, float] = OrderedDict()

    def add(self, connection: Connection, *, idle: bool) -> None:
        """It waits from now on; anew, if it did before."""
        self.discard(connection)
        (self._idle if idle else self._unfinished)[connection] = self._clock()

    def discard(self, connection: Connection) -> None:
        """It does not wait, or is gone."""
        self._idle.pop(connection, None)
        self._unfinished.pop(connection, None)

    def pop(self, has_news: Callable[[Connection], bool] = lambda _: False) -> Connection | None:
        """The one that gives way, which is not among them any more; ``None`` where none waits.

        ``has_news`` says whether a client has done something that was not looked at yet. Then it is another's turn, for
        some tries.
        """
        for _ in range(TRIES):
            waiting = self._crowd()
            if not waiting:
                return None
            connection = next(iter(waiting))
            if not has_news(connection):
                break
            waiting.move_to_end(connection)
            waiting[connection] = self._clock()
        return self._crowd().popitem(last=False)[0]

    def _crowd(self) -> OrderedDict[Connection, float]:
        rested = bool(self._idle) and self._clock() - next(iter(self._idle.values())) >= REST
        return self._idle if rested or len(self._idle) > len(self._unfinished) else self._unfinished
