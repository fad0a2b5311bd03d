"""One layer around every route: how large a body may be, and how long a request may take.

No route can forget it. One that says nothing takes ``SMALL`` bytes; one that takes photos calls :func:`allow_body`
before it reads. A request beyond a bound is answered here, and its route sees a client that has gone away. (Starlette's
``RequestBodyLimitMiddleware``, of 2026, counts bytes only: it knows no time, and no memory that requests share.)
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from animal_classification.serving.http.problem_details import ProblemError, respond
from animal_classification.serving.http.uploads import readable_size
from animal_classification.serving.middleware.client_connection import arrival_of

if TYPE_CHECKING:
    from collections.abc import MutableSequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from animal_classification.serving.observability.metrics import ServerMetrics
    from animal_classification.settings import Settings

SMALL = 16 * 1024  # bytes of a body, for a route that names no limit
_KEY = "animals.bounds"
_GONE: Message = {"type": "http.disconnect"}


class BodyMemory:
    """The bytes of all bodies in memory, of this process and of those beside it.

    Each process changes its own counter and reads all of them: none ever waits for another, and the counter of one that
    dies can be reset. Two that look at the same moment may both exceed the limit, each by a piece of a body.

    Args:
        limit: How many bytes there may be.
        counters: What each process holds; in shared memory where there are several.
        own: Index of this process's counter.
    """

    def __init__(self, limit: int, counters: MutableSequence[int] | None = None, own: int = 0) -> None:
        self._limit = limit
        self._counters = [0] if counters is None else counters
        self._own = own

    @property
    def held(self) -> int:
        """Bytes that all of them hold now."""
        return sum(self._counters)

    def claim(self, size: int) -> bool:
        """Reserve ``size`` bytes; whether there was room."""
        if self.held + size > self._limit:
            return False
        self._counters[self._own] += size
        return True

    def release(self, size: int) -> None:
        """Give back what was claimed."""
        self._counters[self._own] -= size


def allow_body(scope: Scope, size: int) -> None:
    """Let the route take a body of up to ``size`` bytes; call it before the body is read."""
    bounded: _BoundedRequest | None = scope.get(_KEY)
    if bounded is not None:
        bounded.limit = size


def allow_any_time(scope: Scope) -> None:
    """Let the route answer when it is done, however long that takes."""
    bounded: _BoundedRequest | None = scope.get(_KEY)
    if bounded is not None:
        bounded.allow_any_time()


class RequestBoundsMiddleware:
    """An ASGI application around another.

    - A body has at most ``SMALL`` bytes, or what the route allows; beyond, 413 ``request-too-large``, best unread.
    - All bodies together fit into ``memory``; beyond, 503 ``busy``.
    - From the head to the end of the body a request takes at most ``body_timeout``; beyond, 408 ``too-slow``. From
      there to the beginning of the answer it takes at most ``request_timeout``; beyond, 503 ``timed-out``.
    - A body comes as it is; one that would have to be unpacked gets 415 ``encoded-body``.

    Args:
        app: The application inside.
        settings: The bounds.
        memory: For the bodies of all requests.
        metrics: Where refusals are counted.
    """

    def __init__(self, app: ASGIApp, settings: Settings, memory: BodyMemory, metrics: ServerMetrics) -> None:
        self._app = app
        self.settings = settings
        self.memory = memory
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        bounded = scope[_KEY] = _BoundedRequest(self, scope, receive, send)
        try:
            await bounded.run(self._app)
        finally:
            self.memory.release(bounded.held)
            bounded.release()


class _BoundedRequest:
    def __init__(self, layer: RequestBoundsMiddleware, scope: Scope, receive: Receive, send: Send) -> None:
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
        self._received = 0
        self._body_read = False
        self._answer_started = False
        self._problem: ProblemError | None = None
        self._timer = asyncio.timeout(settings.body_timeout if self._has_body else self.seconds)

    def allow_any_time(self) -> None:
        """Stop the clock for the route."""
        self.seconds = None
        if self._body_read or not self._has_body:
            self._end_in(None)

    def release(self) -> None:
        """Leave the scope, which this holds: a circle would wait for the garbage collector."""
        del self._scope[_KEY]
        if self._arrival is not None:
            self._arrival.release()

    async def run(self, app: ASGIApp) -> None:
        """Have the route answer, or answer in its place."""
        try:
            async with self._timer:
                if self._arrival is not None:
                    self._arrival.on_refusal(self._abandon_route)
                await app(self._scope, self._receive_bounded, self._send_unless_refused)
        except TimeoutError:
            if not self._timer.expired():
                raise
            self._problem = self._problem or self._late()
        except Exception:
            if self._problem is None:
                raise
            # The route was cut short, and its answer would not have been sent.
            logging.getLogger(__name__).debug("a route failed when its request was refused", exc_info=True)
        if self._problem is not None:
            await self._refuse(self._problem)

    async def _receive_bounded(self) -> Message:
        """The next piece of the body, or a disconnect where the request is refused."""
        if self._problem is not None:
            return _GONE
        if self._body_read:
            return await self._receive()
        problem = self._refusal_before_reading()
        message: Message = _GONE
        if problem is None:
            message = await self._receive()
            if message["type"] == "http.request":
                problem = self._count(len(message.get("body", b"")))
        if problem is not None:
            await self._refuse(problem)
            return _GONE
        if message["type"] == "http.request" and not message.get("more_body", False):
            self._body_read = True
            self._end_in(self.seconds)
        return message

    def _refusal_before_reading(self) -> ProblemError | None:
        if self._received:
            return None
        if self._has_body and self._coding not in {"", "identity"}:
            # A packed body could be a bomb, and photos do not get smaller.
            detail = f"send the body as it is, not with Content-Encoding {self._coding[:40]!r}"
            return ProblemError(415, detail, kind="encoded-body", headers={"Accept-Encoding": "identity"})
        if self._length.isdigit() and _exceeds(self._length, self.limit):
            return too_large(self.limit)
        return None

    def _count(self, size: int) -> ProblemError | None:
        self._received += size
        if self._received > self.limit:
            return too_large(self.limit)
        if not self._layer.memory.claim(size):
            detail = "too many large requests are being read; try again in a few seconds"
            return ProblemError(503, detail, kind="busy", headers={"Retry-After": "5"})
        self.held += size
        return None

    async def _send_unless_refused(self, message: Message) -> None:
        if self._problem is not None or self._timer.expired():
            return
        if not self._answer_started:
            self._answer_started = True
            self._end_in(None)  # the protocol deals with clients that do not read it
        await self._send(message)

    def _end_in(self, seconds: float | None) -> None:
        with suppress(RuntimeError):  # its time is over
            self._timer.reschedule(None if seconds is None else asyncio.get_running_loop().time() + seconds)

    def _abandon_route(self, problem: ProblemError) -> None:
        if not self._answer_started and self._problem is None:
            self._problem = problem
            self._end_in(0)

    async def _refuse(self, problem: ProblemError) -> None:
        self._problem = problem
        if self._answer_started:
            return
        self._answer_started = True
        self._end_in(None)
        if problem.kind is not None:
            self._layer.metrics.rejected(problem.kind)
        answer = respond(self._scope, problem)
        await answer(self._scope, self._receive, self._send)

    def _late(self) -> ProblemError:
        arrived = self._body_read or (self._arrival is not None and self._arrival.complete)
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


def _exceeds(length: bytes, limit: int) -> bool:
    # A length of thousands of digits cannot be read as a number.
    return len(length.lstrip(b"0")) > 18 or int(length) > limit
