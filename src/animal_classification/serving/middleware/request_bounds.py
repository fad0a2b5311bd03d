"""One layer around every route, ours and foreign ones: how large a body may be, and how long a request may take.

A route cannot forget it. One that says nothing takes ``SMALL`` bytes; one that takes photos says so with :func:`take`
before it reads. What is over a bound is answered here, and the route sees a client that has gone away. (Starlette's
``RequestBodyLimitMiddleware``, of 2026, counts bytes only: it knows no time, and no memory that requests share.)
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from animal_classification.serving.http.problem_details import ProblemError, respond
from animal_classification.serving.http.uploads import readable_size
from animal_classification.serving.middleware.message_arrival import arrival_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from animal_classification.serving.middleware.body_limits import Memory
    from animal_classification.serving.observability.metrics import ServerMetrics
    from animal_classification.settings import Settings

SMALL = 16 * 1024  # bytes of a body, for a route that says nothing of its own
_KEY = "animals.bounds"
_GONE: Message = {"type": "http.disconnect"}


def take(scope: Scope, size: int) -> None:
    """The route of ``scope`` takes bodies of up to ``size`` bytes; said before the body is read."""
    bounded: _Bounded | None = scope.get(_KEY)
    if bounded is not None:
        bounded.limit = size


def take_time(scope: Scope) -> None:
    """The route of ``scope`` answers when it is done, however long that takes."""
    bounded: _Bounded | None = scope.get(_KEY)
    if bounded is not None:
        bounded.no_hurry()


class RequestBounds:
    """An ASGI application around another.

    - A body has at most ``SMALL`` bytes, or what the route takes: 413 ``request-too-large`` beyond, if possible unread.
    - All bodies together have room in ``memory``; 503 ``busy`` beyond.
    - From the head to the end of the body it takes at most ``body_timeout``: 408 ``too-slow``. From there to the
      beginning of the answer, ``request_timeout``: 503 ``timed-out``.
    - A body is sent as it is: 415 ``encoded-body`` where it would have to be unpacked.

    Args:
        app: The other.
        settings: The bounds.
        memory: For the bodies of all requests.
        metrics: Where refusals are counted.
    """

    def __init__(self, app: ASGIApp, settings: Settings, memory: Memory, metrics: ServerMetrics) -> None:
        self._app = app
        self.settings = settings
        self.memory = memory
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        bounded = scope[_KEY] = _Bounded(self, scope, receive, send)
        try:
            await bounded.run(self._app)
        finally:
            self.memory.release(bounded.held)


class _Bounded:
    """One request."""

    def __init__(self, layer: RequestBounds, scope: Scope, receive: Receive, send: Send) -> None:
        settings = layer.settings
        headers = dict(scope["headers"])
        self.limit = SMALL
        self.seconds: float | None = settings.request_timeout
        self.held = 0
        self._layer = layer
        self._scope, self._receive, self._send = scope, receive, send
        self._arrival = arrival_of(scope)
        self._length = headers.get(b"content-length", b"0")
        self._coding = headers.get(b"content-encoding", b"identity").decode("latin-1").strip().lower()
        self._has_body = self._length != b"0" or b"transfer-encoding" in headers
        self._body_seconds = settings.body_timeout
        self._received = 0
        self._read = False  # the body, to its end
        self._started = False  # the answer
        self._problem: ProblemError | None = None
        self._timer = asyncio.timeout(settings.body_timeout if self._has_body else self.seconds)

    def no_hurry(self) -> None:
        """The route may take its time from now on."""
        self.seconds = None
        if self._read or not self._has_body:
            self._end_in(None)

    async def run(self, app: ASGIApp) -> None:
        """Have the route answer, or answer in its place."""
        try:
            async with self._timer:
                if self._arrival is not None:
                    self._arrival.listen(self._give_up)
                await app(self._scope, self._next, self._pass)
        except TimeoutError:
            if not self._timer.expired():
                raise
            self._problem = self._problem or self._late()
        except Exception:
            if self._problem is None:
                raise
            # It was cut short, and its answer would not have been sent.
            logging.getLogger(__name__).debug("a route failed when its request was refused", exc_info=True)
        if self._problem is not None:
            await self._refuse(self._problem)

    async def _next(self) -> Message:
        """The next piece of the body, or that there will be none."""
        if self._problem is not None:
            return _GONE
        if self._read:
            return await self._receive()
        problem = self._unreadable()
        message: Message = _GONE
        if problem is None:
            message = await self._receive()
            if message["type"] == "http.request":
                problem = self._counted(len(message.get("body", b"")))
        if problem is not None:
            await self._refuse(problem)
            return _GONE
        if message["type"] == "http.request" and not message.get("more_body", False):
            self._read = True
            self._end_in(self.seconds)
        return message

    def _unreadable(self) -> ProblemError | None:
        """Why the body is not even begun with."""
        if self._received:
            return None
        if self._has_body and self._coding not in {"", "identity"}:
            # One that is unpacked could be a bomb, and photos do not get smaller.
            detail = f"send the body as it is, not with Content-Encoding {self._coding[:40]!r}"
            return ProblemError(415, detail, kind="encoded-body", headers={"Accept-Encoding": "identity"})
        if self._length.isdigit() and _longer(self._length, self.limit):
            return too_large(self.limit)
        return None

    def _counted(self, size: int) -> ProblemError | None:
        self._received += size
        if self._received > self.limit:
            return too_large(self.limit)
        if not self._layer.memory.claim(size):
            detail = "too many large requests are being read; try again in a few seconds"
            return ProblemError(503, detail, kind="busy", headers={"Retry-After": "5"})
        self.held += size
        return None

    async def _pass(self, message: Message) -> None:
        """The route's answer, unless the request is answered already."""
        if self._problem is not None or self._timer.expired():
            return
        if not self._started:
            self._started = True
            self._end_in(None)  # clients that do not read it are the protocol's business
        await self._send(message)

    def _end_in(self, seconds: float | None) -> None:
        with suppress(RuntimeError):  # its time is over
            self._timer.reschedule(None if seconds is None else asyncio.get_running_loop().time() + seconds)

    def _give_up(self, problem: ProblemError) -> None:
        if not self._started and self._problem is None:
            self._problem = problem
            self._end_in(0)

    async def _refuse(self, problem: ProblemError) -> None:
        self._problem = problem
        if self._started:
            return
        self._started = True
        self._end_in(None)
        if problem.kind is not None:
            self._layer.metrics.rejected(problem.kind)
        answer = respond(self._scope, problem)
        await answer(self._scope, self._receive, self._send)

    def _late(self) -> ProblemError:
        arrived = self._read or (self._arrival is not None and self._arrival.complete)
        if self._has_body and not arrived:
            return too_slow()
        detail = "the answer took too long and was given up; try again"
        return ProblemError(503, detail, kind="timed-out", headers={"Retry-After": "5"})


def too_large(limit: int) -> ProblemError:
    """The answer to a body of too many bytes."""
    detail = f"the request is larger than {readable_size(limit)}; send fewer or smaller photos at a time"
    if limit <= SMALL:
        detail = f"the request's body is larger than {readable_size(limit)}, which is all that this path takes"
    return ProblemError(413, detail, kind="request-too-large")


def too_slow() -> ProblemError:
    """The answer to a body that trickles."""
    detail = "the request's body did not arrive in time"
    return ProblemError(408, detail, kind="too-slow", headers={"Connection": "close"})


def _longer(length: bytes, limit: int) -> bool:
    # A length of thousands of digits cannot be read as a number.
    return len(length.lstrip(b"0")) > 18 or int(length) > limit
