"""Work beside the event loop."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from animal_classification.serving.batching.slow_work import in_thread


def _behind(gate: threading.Event, ended: threading.Event, result: object) -> Callable[[], object]:
    """Work that waits for a gate, says when it is through, and then returns or raises."""

    def work() -> object:
        assert gate.wait(20)
        ended.set()
        if isinstance(result, Exception):
            raise result
        return result

    return work


def test_work_beside_the_loop() -> None:
    def fail() -> Any:
        raise KeyError("x")

    async def scenario() -> int:
        with pytest.raises(KeyError):
            await in_thread(fail)
        return await in_thread(lambda: 7)

    assert asyncio.run(scenario()) == 7


@pytest.mark.parametrize("result", [7, KeyError("x")])
def test_work_that_nobody_waits_for_any_more(result: object, caplog: pytest.LogCaptureFixture) -> None:
    gate, ended = threading.Event(), threading.Event()
    work = _behind(gate, ended, result)

    async def scenario() -> None:
        waiting = asyncio.ensure_future(in_thread(work))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not ended.is_set(), "it was waited for"
        gate.set()
        assert ended.wait(20)
        await asyncio.sleep(0.05)

    with caplog.at_level(logging.WARNING):
        asyncio.run(scenario())
    assert caplog.records == []


@pytest.mark.parametrize("result", [7, KeyError("x")])
def test_an_engine_is_not_left_in_the_middle_of_its_work(result: object, caplog: pytest.LogCaptureFixture) -> None:
    gate, ended = threading.Event(), threading.Event()
    work = _behind(gate, ended, result)

    async def scenario() -> None:
        waiting = asyncio.ensure_future(in_thread(work, patience=20))
        await asyncio.sleep(0)
        waiting.cancel()
        asyncio.get_running_loop().call_later(0.05, gate.set)
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert ended.is_set()

    with caplog.at_level(logging.WARNING):
        asyncio.run(scenario())
    assert caplog.records == []


def test_patience_has_an_end() -> None:
    gate = threading.Event()

    async def scenario() -> None:
        waiting = asyncio.ensure_future(in_thread(lambda: gate.wait(20), patience=0.05))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not gate.is_set()

    asyncio.run(scenario())
    gate.set()
