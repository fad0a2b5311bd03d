"""Slow work beside the event loop, each piece on a thread of its own.

asyncio's pool of threads is shared: there, work that waits for a slow database would hold up all other work.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Result = TypeVar("Result")
# Seconds to wait for an inference engine that is not needed any more: a process that exits while one of its threads is
# inside an engine is aborted.
PATIENCE = 5.0


async def in_thread(work: Callable[[], Result], *, patience: float = 0.0) -> Result:
    """Run ``work`` on a thread that does not keep the process from stopping.

    Args:
        work: What to run.
        patience: Seconds to wait for it when this is cancelled; ``PATIENCE`` where it uses an engine.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Result] = loop.create_future()

    def target() -> None:
        try:
            result: object = work()
        except BaseException as error:  # raised where it is awaited
            result = error
        deliver(loop, [(done, result)])

    threading.Thread(target=target, name="animals-beside", daemon=True).start()
    try:
        await asyncio.wait([done])
    except asyncio.CancelledError:
        await asyncio.wait([done], timeout=patience)
        if not done.cancel():
            done.exception()  # marks it as seen
        raise
    return done.result()


async def results_of(futures: Sequence[asyncio.Future[Result]]) -> list[Result]:
    """The results, in order; the first failure is raised at once."""
    if len(futures) == 1:  # as for most requests: to gather takes another turn of the event loop
        return [await futures[0]]
    return await asyncio.gather(*futures)


def deliver(loop: asyncio.AbstractEventLoop, results: Sequence[tuple[asyncio.Future[Result], object]]) -> None:
    """Hand results, or exceptions, to the futures of ``loop`` that still wait; from any thread, in one wake-up."""

    def settle() -> None:
        for future, result in results:
            if future.done():
                continue
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)  # type: ignore[arg-type]

    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:  # the loop is closed: nobody waits any more
        return
