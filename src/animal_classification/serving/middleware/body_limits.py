"""The bodies that are in memory, and clients that go away while theirs is worked on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from animal_classification.serving.http.problem_details import ClientGoneError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping, MutableSequence
    from typing import Any

    from fastapi import Request


class Memory:
    """The bytes of all bodies that are held at once, by this process and those beside it.

    Each process changes a place of its own and reads all of them, so that none ever waits for another, and one that
    dies can be forgotten. Two that look at the same moment may both go over the limit, each by a piece of a body.

    Args:
        limit: How many bytes there may be.
        places: What each process holds; shared memory where there are several.
        own: Which place is this process's.
    """

    def __init__(self, limit: int, places: MutableSequence[int] | None = None, own: int = 0) -> None:
        self._limit = limit
        self._places = [0] if places is None else places
        self._own = own

    @property
    def held(self) -> int:
        """Bytes that all of them hold now."""
        return sum(self._places)

    def claim(self, size: int) -> bool:
        """Make room for ``size`` bytes; whether there was any."""
        if self.held + size > self._limit:
            return False
        self._places[self._own] += size
        return True

    def release(self, size: int) -> None:
        """Give back what was claimed."""
        self._places[self._own] -= size


async def while_connected(request: Request, work: Awaitable[Any]) -> Any:
    """Await ``work``, and cancel it when the client goes away. The request's body must have been read.

    Raises:
        ClientGoneError: It went away.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request.receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGoneError
        return task.result()
    finally:
        gone.cancel()
        task.cancel()
        await asyncio.wait({task})  # until it has freed its places


async def _gone(receive: Callable[[], Awaitable[MutableMapping[str, Any]]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
