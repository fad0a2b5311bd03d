"""Work for a client that may go away while it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from starlette.requests import Request

from animal_classification.serving.http.problem_details import ClientGoneError
from animal_classification.serving.middleware.client_connection import while_connected

Message = dict[str, object]


class Client:
    """Has sent its request, and may go away."""

    def __init__(self) -> None:
        self._gone = asyncio.Event()

    def leave(self) -> None:
        self._gone.set()

    async def receive(self) -> Message:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    @property
    def request(self) -> Request:
        return Request({"type": "http", "method": "POST", "path": "/", "headers": []}, self.receive)


def run(visit: Callable[[Client], Awaitable[None]]) -> None:
    async def main() -> None:
        await visit(Client())
        task = asyncio.current_task()
        assert task is not None
        assert not task.cancelling()
        for _ in range(5):  # a late cancellation would come now
            await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


def test_work_for_a_client_that_stays_is_done() -> None:
    async def visit(client: Client) -> None:
        assert await while_connected(client.request, asyncio.sleep(0.01, "done")) == "done"

    run(visit)


def test_work_is_cancelled_when_its_client_goes_away() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0)  # as where its photos leave the queue
            ended.append("cancelled")

    async def visit(client: Client) -> None:
        asyncio.get_running_loop().call_later(0.01, client.leave)
        with pytest.raises(ClientGoneError):
            await while_connected(client.request, work())
        assert ended == ["cancelled"]

    run(visit)


@pytest.mark.parametrize("turns", range(6))
def test_a_client_that_goes_while_its_answer_comes_cancels_nothing_else(turns: int) -> None:
    async def visit(client: Client) -> None:
        answered = asyncio.get_running_loop().create_future()

        async def leave_and_answer() -> None:
            client.leave()
            for _ in range(turns):
                await asyncio.sleep(0)
            if not answered.done():
                answered.set_result("done")

        leaving = asyncio.create_task(leave_and_answer())
        with suppress(ClientGoneError):
            assert await while_connected(client.request, answered) == "done"
        await leaving

    run(visit)


def test_what_fails_is_raised() -> None:
    async def work() -> None:
        await asyncio.sleep(0)
        raise ValueError("no photo")

    async def visit(client: Client) -> None:
        with pytest.raises(ValueError, match="no photo"):
            await while_connected(client.request, work())

    run(visit)


@pytest.mark.parametrize("leaves", [False, True])
def test_a_time_that_is_over_is_told_as_such(leaves: bool) -> None:
    async def visit(client: Client) -> None:
        async def in_time() -> None:
            async with asyncio.timeout(0.01):
                await while_connected(client.request, asyncio.sleep(30))

        if leaves:
            asyncio.get_running_loop().call_later(0.01, client.leave)
        with pytest.raises((TimeoutError, ClientGoneError)) as raised:
            await in_time()
        assert leaves or raised.type is TimeoutError

    run(visit)


def test_a_fault_while_work_is_cancelled_leaves_nothing_cancelled() -> None:
    async def work() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            raise ValueError("a fault of ours")

    async def visit(client: Client) -> None:
        asyncio.get_running_loop().call_later(0.01, client.leave)
        with pytest.raises(ValueError, match="a fault of ours"):
            await while_connected(client.request, work())

    run(visit)
