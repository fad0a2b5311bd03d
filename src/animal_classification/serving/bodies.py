"""A request's body while it is in memory: bounded in time, and in bytes together with all the others."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from animal_classification.serving.problems import ClientGoneError, ProblemError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
    from typing import Any

    from fastapi import Request


class Memory:
    """The bytes of all bodies that this process holds.

    Args:
        limit: How many there may be at once.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0

    @property
    def held(self) -> int:
        """Bytes that are held now."""
        return self._held

    @contextmanager
    def claim(self) -> Iterator[Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]]]:
        """Count what passes through the iterator that this yields, until the context ends.

        Raises:
            ProblemError: 503, by the iterator, when all bodies together are over the limit.
        """
        mine = 0

        async def counted(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
            nonlocal mine
            async for chunk in chunks:
                if self._held + len(chunk) > self._limit:
                    detail = "too many large requests are being read; try again in a few seconds"
                    raise ProblemError(503, detail, kind="busy", headers={"Retry-After": "5"})
                mine += len(chunk)
                self._held += len(chunk)
                yield chunk

        try:
            yield counted
        finally:
            self._held -= mine


def refuse_encoded(request: Request) -> None:
    """Make sure that a body is sent as it is: one that is unpacked could be a bomb, and photos do not get smaller.

    Raises:
        ProblemError: 415.
    """
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in {"", "identity"}:
        detail = f"send the body as it is, not with Content-Encoding {coding[:40]!r}"
        raise ProblemError(415, detail, kind="encoded-body", headers={"Accept-Encoding": "identity"})


@asynccontextmanager
async def within(seconds: float, late: Callable[[], ProblemError]) -> AsyncIterator[None]:
    """Raise what ``late`` makes when the context takes more than ``seconds``."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise late() from None


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


async def _gone(receive: Callable[[], Awaitable[MutableMapping[str, Any]]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def too_slow() -> ProblemError:
    """The answer to a body that trickles."""
    detail = "the request's body did not arrive in time"
    return ProblemError(408, detail, kind="too-slow", headers={"Connection": "close"})


def too_late() -> ProblemError:
    """The answer in place of one that takes too long."""
    detail = "the answer took too long and was given up; try again"
    return ProblemError(503, detail, kind="timed-out", headers={"Retry-After": "5"})
