"""The threads that do all slow work, and the bounded queues between them and the event loop, one for each model.

A free thread takes its share of the photos that wait, a few at a time: no photo waits for a batch while a core is idle,
and under load batches form by themselves. The queues take turns, so that a busy model does not starve another.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from animal_classification.serving.batching.slow_work import deliver
from animal_classification.serving.http.problem_details import ProblemError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Result = TypeVar("Result")
MAX_RETRY_AFTER = 60  # seconds
# Of the last chunks' pace this much is kept when a new one is measured.
_MEMORY = 0.8


class QueuedJob(Protocol):
    """What can stand in the queue."""

    @property
    def future(self) -> asyncio.Future[object]:
        """Cancelled when nobody waits for the result any more."""
        ...


Item = TypeVar("Item", bound=QueuedJob)


class QueueFullError(Exception):
    """The queue is full; in ``retry_after`` seconds it probably has room."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"the queue is full; try again in {retry_after:.1f} s")
        self.retry_after = retry_after


class ModelQueue(Generic[Item]):
    """A queue in front of the threads; its items are handled in chunks, in the order in which they came.

    Made by :meth:`InferenceWorkers.lane`. Its methods are called from one event loop.
    """

    def __init__(self, workers: InferenceWorkers, handle: Callable[[Sequence[Item]], None], bounds: Bounds) -> None:
        self._workers = workers
        self._handle = handle
        self._bounds = bounds
        self._waiting: deque[Item] = deque()
        self._pace = 0.0  # seconds that one item takes one thread, lately

    @property
    def depth(self) -> int:
        """How many items wait."""
        return len(self._waiting)

    @property
    def expected_wait(self) -> float:
        """Seconds until a thread would take up an item that came now."""
        return self._workers.work_before(self)

    def check(self, count: int = 1) -> None:
        """Make sure that there is room for ``count`` more items.

        Raises:
            QueueFullError: There is not. An empty queue has room for any number up to its size.
        """
        if self.depth + count > self._bounds.size or self.expected_wait > self._bounds.patience:
            raise QueueFullError(self.expected_wait)

    def put(self, items: Sequence[Item]) -> None:
        """Let items wait for a thread.

        Raises:
            QueueFullError: There is no room for all of them; none was taken.
        """
        self.check(len(items))
        with self._workers.changing(len(items)):
            self._waiting.extend(items)

    def withdraw(self) -> None:
        """Free the places of items whose future is cancelled."""
        with self._workers.changing():
            self._waiting = deque(item for item in self._waiting if not item.future.cancelled())

    def close(self) -> None:
        """Remove the queue: what waits is dropped, what has begun goes on."""
        with self._workers.changing():
            self._waiting.clear()
            self._workers.forget(self)

    def take(self, threads: int) -> list[Item]:
        """The items that one of so many threads handles next; call it with the lock held."""
        # A thread leaves the others their share: two photos and two threads are one for each, and what is left keeps
        # the next free thread busy until new photos come.
        share = -(-len(self._waiting) // threads)
        return [self._waiting.popleft() for _ in range(min(share, self._bounds.chunk))]

    def handle(self, items: Sequence[Item]) -> None:
        """Handle a chunk, on a thread."""
        started = time.monotonic()
        self._handle(items)
        pace = (time.monotonic() - started) / len(items)
        self._pace = _MEMORY * self._pace + (1 - _MEMORY) * pace if self._pace else pace

    def work_until(self, place: int) -> float:
        """Seconds that one thread needs for the items before a place."""
        return min(self.depth, place) * self._pace

    @property
    def chunk(self) -> int:
        """The most items that a thread takes at once."""
        return self._bounds.chunk


def or_busy(enqueue: Callable[[], None]) -> None:
    """Put something into a queue.

    Raises:
        ProblemError: 503 where the queue is full.
    """
    try:
        enqueue()
    except QueueFullError as error:
        seconds = min(MAX_RETRY_AFTER, max(1, math.ceil(error.retry_after)))
        detail = f"too many photos wait already; try again in {seconds} s"
        raise ProblemError(503, detail, kind="busy", headers={"Retry-After": str(seconds)}) from None


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """What one queue holds.

    Attributes:
        chunk: The most items that a thread takes at once.
        size: The most items that wait.
        patience: The most seconds that a new item may be expected to wait.
    """

    chunk: int
    size: int
    patience: float = float("inf")


class InferenceWorkers:
    """A pool of threads, which all queues share.

    Args:
        threads: How many run side by side.
        on_depth: Called with the number of items that wait in all queues, when it changes.

    All methods but ``close`` and ``spare`` are called from one event loop.
    """

    def __init__(self, *, threads: int, on_depth: Callable[[int], None] = lambda _: None) -> None:
        self._on_depth = on_depth
        self._threads = threads
        lock = threading.Lock()
        self._changed = threading.Condition(lock)
        self._calm = threading.Condition(lock)
        self._lanes: tuple[ModelQueue[Any], ...] = ()  # never changed in place: it is read without the lock
        self._turn = 0
        self._calls: deque[Callable[[], None]] = deque()
        self._started: list[threading.Thread] = []
        self._idle = 0
        self._closed = False

    @property
    def depth(self) -> int:
        """How many items wait in all queues."""
        return sum(lane.depth for lane in self._lanes)

    def lane(self, handle: Callable[[Sequence[Item]], None], bounds: Bounds) -> ModelQueue[Item]:
        """A new queue, whose chunks ``handle`` deals with on a thread; it must not raise."""
        lane = ModelQueue(self, handle, bounds)
        with self._changed:
            self._lanes = (*self._lanes, lane)
        return lane

    def forget(self, lane: ModelQueue[Any]) -> None:
        """Take a queue out of the turns; with the lock held."""
        self._lanes = tuple(other for other in self._lanes if other is not lane)

    def work_before(self, lane: ModelQueue[Any]) -> float:
        """Seconds until a thread would take up an item that came to ``lane`` now: queues take turns."""
        own = lane.work_until(max(0, lane.depth - self._idle))
        others = (other.work_until(lane.depth + other.chunk) for other in self._lanes if other is not lane)
        return (own + sum(others)) / self._threads

    @contextmanager
    def changing(self, added: int = 0) -> Iterator[None]:
        """Change a queue; so many items are added."""
        if added:
            self._start()
        with self._changed:
            yield
            self._changed.notify(added)
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

    def spare(self, timeout: float) -> bool:
        """Wait, on any thread, until one of the workers has no work; whether one has."""
        with self._calm:
            return self._calm.wait_for(lambda: self._closed or self._is_calm(), timeout) and not self._closed

    def close(self, timeout: float = 0.0) -> None:
        """Drop what waits, and wait up to ``timeout`` seconds for what has begun."""
        with self._changed:
            self._closed = True
            self._lanes = ()
            self._calls.clear()
            self._changed.notify_all()
            self._calm.notify_all()
        until = time.monotonic() + timeout
        for thread in self._started:
            thread.join(max(0.0, until - time.monotonic()))

    def _is_calm(self) -> bool:
        unused = self._threads - len(self._started)
        return self._idle + unused > 0 and not self._calls and not self.depth

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
                if self._is_calm():
                    self._calm.notify()
                while not (self._closed or self._calls or self.depth):
                    self._changed.wait()
                self._idle -= 1
                if self._closed:
                    return
                call = self._calls.popleft() if self._calls else self._next()
            call()
            del call  # or an idle thread would keep a model in memory that is not used any more

    def _next(self) -> Callable[[], None]:
        lanes = self._lanes
        turns = (lanes[(self._turn + step) % len(lanes)] for step in range(1, len(lanes) + 1))
        lane = next(lane for lane in turns if lane.depth)
        self._turn = lanes.index(lane)
        items = lane.take(self._threads)
        self._on_depth(self.depth)
        return partial(lane.handle, items)
