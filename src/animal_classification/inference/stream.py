"""Work spread over threads, results in the order of the input, memory bounded by a window."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_in_chunks(
    work: Callable[[Sequence[Item]], Sequence[Result]], items: Iterable[Item], *, workers: int, chunk: int
) -> Generator[Result, None, None]:
    """Yield ``work``'s results for chunks of ``items``, in order, computed by ``workers`` threads.

    At most four chunks per worker are taken from ``items`` ahead of what the caller has consumed, so memory does not
    grow with the input. Towards the end chunks become smaller, so that no worker has much to do when the others are
    done (guided self-scheduling, Polychronopoulos and Kuck 1987). Closing the iterator drops what has not been started.
    """
    source = iter(items)
    side_by_side = 2 * workers
    ahead: deque[Item] = deque()
    pending: deque[Future[Sequence[Result]]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="animals")
    try:
        while True:
            while len(pending) < side_by_side:
                ahead.extend(islice(source, side_by_side * chunk - len(ahead)))
                if not ahead:
                    break
                size = -(-len(ahead) // side_by_side)
                pending.append(pool.submit(work, [ahead.popleft() for _ in range(size)]))
            if not pending:
                return
            yield from pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
