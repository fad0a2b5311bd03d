"""The threads that do all slow work, and the bounded queue between them and the event loop.

A thread that becomes free takes its share of what waits, a few photos at a time: nobody waits for a batch while a core
is idle, and under load batches form by themselves.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Result = TypeVar("Result")
# Of the last chunks' pace this much is kept when a new one is measured.
_MEMORY = 0.8


class Waiting(Protocol):
    """What can stand in the queue."""

    @property
    def future(self) -> asyncio.Future[object]:
        """Cancelled when nobody waits for the result any more."""
        ...


Item = TypeVar("Item", bound=Waiting)


class QueueFullError(Exception):
    """There is no room for more; ``retry_after`` seconds from now there probably is."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"the queue is full; try again in {retry_after:.1f} s")
        self.retry_after = retry_after


class Workers(Generic[Item]):
    """A pool of threads that handles items in chunks, in the order in which they came.

    Args:
        handle: Deals with a chunk, on a thread; must not raise.
        threads: How many run side by side.
        chunk: The most items that a thread takes at once.
        size: The most items that wait.
        patience: The most seconds that a new item may be expected to wait.
        on_depth: Told how many items wait, when that has changed.

    All methods but ``close`` are called from one event loop.
    """

    def __init__(
        self,
        handle: Callable[[Sequence[Item]], None],
        *,
        threads: int,
        chunk: int,
        size: int,
        patience: float = float("inf"),
        on_depth: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._handle = handle
        self._on_depth = on_depth
        self._threads = threads
        self._chunk = chunk
        self._size = size
        self._patience = patience
        self._changed = threading.Condition()
        self._waiting: deque[Item] = deque()
        self._calls: deque[Callable[[], None]] = deque()
        self._started: list[threading.Thread] = []
        self._idle = 0
        self._pace = 0.0  # seconds that one item takes one thread, lately
        self._closed = False

    @property
    def depth(self) -> int:
        """How many items wait."""
        return len(self._waiting)

    @property
    def expected_wait(self) -> float:
        """Seconds until a thread would take up an item that came now."""
        return max(0, self.depth - self._idle) * self._pace / self._threads

    def check(self, count: int = 1) -> None:
        """Make sure that there is room for ``count`` more items.

        Raises:
            QueueFullError: There is not. An empty queue has room for any number up to its size.
        """
        if self.depth + count > self._size or self.expected_wait > self._patience:
            raise QueueFullError(self.expected_wait)

    def put(self, items: Sequence[Item]) -> None:
        """Let items wait for a thread.

        Raises:
            QueueFullError: There is no room for all of them; none was taken.
        """
        self.check(len(items))
        self._start()
        with self._changed:
            self._waiting.extend(items)
            self._changed.notify(len(items))
            self._on_depth(self.depth)

    def withdraw(self) -> None:
        """Free the places of items whose future is cancelled."""
        with self._changed:
            self._waiting = deque(item for item in self._waiting if not item.future.cancelled())
            self._on_depth(self.depth)

    async def run(self, work: Callable[..., Result], *arguments: object) -> Result:
        """Run ``work(*arguments)`` on a thread, before the items that wait."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()

        def call() -> None:
            if future.cancelled():
                return
            try:
                result = work(*arguments)
            except BaseException as error:  # handed to whoever waits
                deliver(loop, [(future, error)])
            else:
                deliver(loop, [(future, result)])

        self._start()
        with self._changed:
            self._calls.append(call)
            self._changed.notify()
        return await future

    def close(self, timeout: float = 0.0) -> None:
        """Stop; what is not begun yet is dropped, what is begun is waited for during ``timeout`` seconds."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._calls.clear()
            self._changed.notify_all()
        until = time.monotonic() + timeout
        for thread in self._started:
            thread.join(max(0.0, until - time.monotonic()))

    def _start(self) -> None:
        while len(self._started) < self._threads and not self._closed:
            name = f"animals-serve-{len(self._started)}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._started.append(thread)
            thread.start()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._idle += 1
                while not (self._closed or self._calls or self._waiting):
                    self._changed.wait()
                self._idle -= 1
                if self._closed:
                    return
                call = self._calls.popleft() if self._calls else None
                items = [] if call else self._take()
            if call:
                call()
            else:
                self._timed(items)

    def _take(self) -> list[Item]:
        # A thread leaves the others their share: two photos and two threads are one for each, and what is left keeps
        # the next free thread busy until new photos come.
        share = -(-len(self._waiting) // self._threads)
        items = [self._waiting.popleft() for _ in range(min(share, self._chunk))]
        self._on_depth(self.depth)
        return items

    def _timed(self, items: Sequence[Item]) -> None:
        started = time.monotonic()
        self._handle(items)
        pace = (time.monotonic() - started) / len(items)
        self._pace = _MEMORY * self._pace + (1 - _MEMORY) * pace if self._pace else pace


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
