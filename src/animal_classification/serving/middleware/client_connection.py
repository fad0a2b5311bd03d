"""What a request learns of its connection: whether its message has arrived, and whether its client has gone away.

The protocol knows whether the message is there; the layer that bounds requests can answer in place of the route. They
meet in the request's scope.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from animal_classification.serving.http.problem_details import ClientGoneError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping
    from typing import Any

    from fastapi import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from animal_classification.serving.http.problem_details import ProblemError

KEY = "animals.arrival"
Result = TypeVar("Result")


@dataclass(eq=False, slots=True)
class MessageArrival:
    """How the message of one request is coming in.

    Attributes:
        complete: Its last byte has arrived.
        problem: What the protocol wants the request to be answered with.
    """

    complete: bool = False
    problem: ProblemError | None = None
    _answer: Callable[[ProblemError], None] | None = None

    def on_refusal(self, answer: Callable[[ProblemError], None]) -> None:
        """Call ``answer`` when the protocol refuses the request; at once if it already has."""
        self._answer = answer
        if self.problem is not None:
            answer(self.problem)

    def release(self) -> None:
        """Forget who answers: the request has its answer. What it held is free then, without a look for garbage."""
        self._answer = None

    def refuse(self, problem: ProblemError) -> None:
        """Have the request answered with a problem, whatever its route is doing."""
        if self.problem is None:
            self.problem = problem
            if self._answer is not None:
                self._answer(problem)


def arrival_of(scope: Scope) -> MessageArrival | None:
    """The arrival of a request's message; ``None`` under a protocol that is not ours."""
    return scope.get(KEY)


async def when_arrived(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Have ``app`` answer when the whole message is there; not at all where its client has gone, or it was refused."""
    arrival = arrival_of(scope)
    if arrival is None or arrival.complete:
        await app(scope, receive, send)
        return
    messages: deque[Message] = deque()
    while not messages or messages[-1].get("more_body", False):
        messages.append(await receive())
        if messages[-1]["type"] == "http.disconnect":
            return

    async def receive_again() -> Message:
        return messages.popleft() if messages else await receive()

    await app(scope, receive_again, send)


async def while_connected(request: Request, work: Awaitable[Result]) -> Result:
    """Await ``work``, and cancel it when the client goes away. The request's body must have been read.

    The work is done by the task of the request itself: each task more would wait for the event loop twice.

    Raises:
        ClientGoneError: The client went away.
    """
    task = asyncio.current_task()
    assert task is not None
    cancelled_before = task.cancelling()
    waits = True
    left = False

    def leave(_: object) -> None:
        nonlocal left
        if waits:
            left = True
            task.cancel()

    gone = asyncio.ensure_future(_disconnected(request.receive))
    gone.add_done_callback(leave)
    try:
        return await work
    except BaseException as error:
        if left and task.uncancel() <= cancelled_before and isinstance(error, asyncio.CancelledError):
            raise ClientGoneError from None
        raise
    finally:
        waits = False
        gone.cancel()


async def _disconnected(receive: Callable[[], Awaitable[MutableMapping[str, Any]]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
